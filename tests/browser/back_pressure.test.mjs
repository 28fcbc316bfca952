/** Tests of back-pressure: when one side does not read, the other has to wait, and buffers a bounded amount. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();
const MIB = 1 << 20;
/** More than all windows and buffers together may hold. */
const TOTAL = 64 * MIB;
/** The buffer of the sending side (8 MiB), a stream's first window (1 MiB), and the credits of page and worker. */
const MOST_HELD = 12 * MIB;

test('a server that does not read holds the page back, and has everything once it reads', async () => {
  const { server, urls } = await rig.listen();
  const outcome = await rig.run(
    async ({ server, urls, total }) => {
      const { ask, control, download, open, randomBytes, readAll, sha256 } = globalThis.tests;
      const session = await open(urls);
      const { readable, writer } = await ask(session, { name: 'held', hold: {} });
      const data = randomBytes(total);
      const taken = { bytes: 0 };
      const writing = (async () => {
        for (let at = 0; at < total; at += 65536) {
          await writer.ready;
          writer.write(data.subarray(at, at + 65536)).catch(() => {});
          taken.bytes = at;
        }
        await writer.close();
      })();
      // The server's window is full once it has this much; a lot else passes meanwhile.
      let there = await control({ do: 'stats', server, session: 0 });
      while (there.buffered < (1 << 20) / 2) there = await control({ do: 'stats', server, session: 0 });
      const other = await download(session, { bytes: 20e6, name: 'other' });
      const stats = await session.getStats();
      const held = { bytes: taken.bytes, retained: stats.bytesRetained, desiredSize: writer.desiredSize };
      there = await control({ do: 'stats', server, session: 0 });
      await control({ do: 'release', server, name: 'held' });
      await writing;
      const answer = JSON.parse(new TextDecoder().decode(await readAll(readable)));
      return { other, held, there, answer, sent: { bytes: total, sha256: await sha256(data) } };
    },
    { server, urls, total: TOTAL },
  );
  assert.equal(outcome.other.isIntact, true);
  assert.ok(outcome.held.bytes < MOST_HELD, `the page wrote ${outcome.held.bytes} bytes`);
  assert.ok(outcome.held.retained < MOST_HELD, `the worker keeps ${outcome.held.retained} bytes`);
  assert.ok(outcome.held.desiredSize <= 0, `the writer wants ${outcome.held.desiredSize} more chunks`);
  assert.ok(outcome.there.buffered < MOST_HELD, `the server keeps ${outcome.there.buffered} bytes`);
  assert.deepEqual(outcome.answer, outcome.sent);
});

test('a page that does not read holds the server back, and has everything once it reads', async () => {
  const { server, urls } = await rig.listen();
  const outcome = await rig.run(
    async ({ server, urls, total }) => {
      const { ask, control, download, open, readAll, sha256 } = globalThis.tests;
      const session = await open(urls);
      const { readable, writer } = await ask(session, { name: 'held', source: { bytes: total } });
      writer.close();
      let stats = await session.getStats();
      while (stats.bytesBuffered < (1 << 20) / 4) stats = await session.getStats();
      const other = await download(session, { bytes: 20e6, name: 'other' });
      stats = await session.getStats();
      const { sent } = await control({ do: 'progress', server, name: 'held' });
      const { retained } = await control({ do: 'stats', server, session: 0 });
      const data = await readAll(readable);
      const sum = Array.from(data.subarray(-32), (byte) => byte.toString(16).padStart(2, '0')).join('');
      const isIntact = sum === (await sha256(data.subarray(0, -32)));
      return { other, sent, retained, buffered: stats.bytesBuffered, isIntact, bytes: data.byteLength - 32 };
    },
    { server, urls, total: TOTAL },
  );
  assert.equal(outcome.other.isIntact, true);
  assert.ok(outcome.sent < MOST_HELD, `the server wrote ${outcome.sent} bytes`);
  assert.ok(outcome.retained < MOST_HELD, `the server keeps ${outcome.retained} bytes`);
  assert.ok(outcome.buffered < MOST_HELD, `the worker keeps ${outcome.buffered} bytes`);
  assert.deepEqual({ bytes: outcome.bytes, isIntact: outcome.isIntact }, { bytes: TOTAL, isIntact: true });
});
