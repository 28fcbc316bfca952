/** Tests of how sessions end, from either side. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

test('the page closes: both ends have its code and its reason', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, Kwik, open } = globalThis.tests;
      const session = await open(urls);
      session.close({ closeCode: 7, reason: 'that was all' });
      const here = await session.closed;
      return { here, there: await control({ do: 'closed', server, session: 0 }), pool: Kwik.workerPool.stats() };
    },
    { server, urls },
  );
  assert.deepEqual(outcome.here, { closeCode: 7, reason: 'that was all' });
  assert.deepEqual(outcome.there, { closedByPeer: { code: 7, reason: 'that was all' } });
  assert.equal(outcome.pool.workers, 0);
});

test('the server closes: both ends have its code and its reason, and what is open ends', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { ask, control, failureOf, open } = globalThis.tests;
      const session = await open(urls);
      const { readable, writer } = await ask(session, { name: 'open', echo: {} });
      const streams = session.incomingBidirectionalStreams.getReader().read();
      const datagrams = session.datagrams.readable.getReader().read();
      await control({ do: 'close', server, session: 0, code: 42, reason: 'good night' });
      const here = await session.closed;
      return {
        here,
        there: await control({ do: 'closed', server, session: 0 }),
        read: await failureOf(readable.getReader().read()),
        write: await failureOf(writer.write(new Uint8Array(1))),
        open: await failureOf(session.createUnidirectionalStream()),
        streams: await streams,
        datagrams: await datagrams,
      };
    },
    { server, urls },
  );
  assert.deepEqual(outcome.here, { closeCode: 42, reason: 'good night' });
  assert.deepEqual(outcome.there, { closedHere: { code: 42, undelivered: 0 } });
  for (const failure of [outcome.read, outcome.write, outcome.open]) {
    assert.equal(failure.name, 'WebTransportError');
    assert.equal(failure.source, 'session');
    assert.match(failure.message, /code 42/);
  }
  assert.equal(outcome.streams.done, true);
  assert.equal(outcome.datagrams.done, true);
});

test('what was written before the close arrives', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, open, randomBytes, requestLine, sha256 } = globalThis.tests;
      const session = await open(urls);
      const writer = (await session.createUnidirectionalStream()).getWriter();
      const data = randomBytes(4e6);
      writer.write(requestLine({ name: 'last words', sink: {} }));
      for (let at = 0; at < data.byteLength; at += 1e5) writer.write(data.subarray(at, at + 1e5));
      await writer.close();
      session.close();
      const { closeCode } = await session.closed;
      const had = await control({ do: 'outcome', server, name: 'last words' });
      return { closeCode, had, sent: { bytes: data.byteLength, sha256: await sha256(data) } };
    },
    { server, urls },
  );
  assert.equal(outcome.closeCode, 0);
  assert.deepEqual(outcome.had, outcome.sent);
});

test('a session that is closed before it is open never was', async () => {
  const { urls } = await rig.listen();
  const outcome = await rig.run(async (urls) => {
    const { failureOf, Kwik } = globalThis.tests;
    const session = new Kwik(urls);
    session.close({ closeCode: 1 });
    return { ready: await failureOf(session.ready), workers: Kwik.workerPool.stats().workers };
  }, urls);
  assert.equal(outcome.ready.name, 'WebTransportError');
  assert.equal(outcome.workers, 0);
});

test('a server that drains says so, and what is open goes on', async () => {
  const { server, urls } = await rig.listen();
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { ask, control, open, readAll } = globalThis.tests;
      const session = await open(urls);
      const { readable, writer } = await ask(session, { echo: {} });
      await control({ do: 'drain', server, session: 0 });
      await session.draining;
      writer.write(new TextEncoder().encode('still here'));
      writer.close();
      return new TextDecoder().decode(await readAll(readable));
    },
    { server, urls },
  );
  assert.equal(outcome, 'still here');
});

test('a page that goes away leaves a session that the server gives up in the end', async () => {
  const { server, urls } = await rig.listen();
  await rig.run(async (urls) => void (await globalThis.tests.open(urls, { resumeTimeout: 500 })), urls);
  const end = await rig.command({ do: 'closed', server, session: 0 });
  assert.match(end.other ?? '', /no path came back/);
});
