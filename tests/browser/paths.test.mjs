/** Paths that the page, or the server, adds and removes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();
const bare = (url) => url.replace(/\?.*/, '').replace(/^kwik:/, '');

test('a path is added, carries its part, and is removed again', async () => {
  const { server, urls } = await rig.listen({ lines: 2, rateMbit: 160 });
  const outcome = await rig.run(
    async ({ urls }) => {
      const { download, open, watch } = globalThis.tests;
      const session = await open(urls[0]);
      const events = watch(session);
      const [first] = session.paths;
      const added = await session.addPath(urls[1]);
      const after = { here: session.paths.map(({ id }) => id), event: await events.next('pathadded') };
      const both = await download(session, { bytes: 40e6, name: 'both' });
      const { paths } = await session.getStats();
      await session.removePath(added);
      const lost = await events.next('pathlost');
      const one = await download(session, { bytes: 5e6, name: 'one' });
      return { first, added, after, both, paths, lost, one, left: (await session.getStats()).paths };
    },
    { server, urls },
  );
  const { first, added } = outcome;
  assert.deepEqual(outcome.after.here, [first.id, added.id]);
  assert.equal(outcome.after.event.path, added.id);
  assert.ok(added.url.includes(bare(urls[1]).slice(2)), added.url);
  assert.equal(outcome.both.isIntact, true);
  for (const path of outcome.paths) {
    assert.ok(path.bytesReceived > 1e6, `path ${path.id} carried ${path.bytesReceived} bytes`);
    assert.ok(path.rtt > 0, `path ${path.id} has an rtt of ${path.rtt} ms`);
  }
  assert.equal(outcome.lost.path, added.id);
  assert.match(outcome.lost.detail, /it was removed/);
  assert.equal(outcome.one.isIntact, true);
  assert.deepEqual(outcome.left.map(({ id }) => id), [first.id]);
});

test('a path that cannot be opened is an error, and the session goes on without it', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, download, failureOf, open } = globalThis.tests;
      const session = await open(urls[0], { handshakeTimeout: 1000 });
      await control({ do: 'silence', server, line: 1 });
      const failure = await failureOf(session.addPath(urls[1]));
      const syntax = await failureOf(session.addPath('ftp://example.com'));
      return { failure, syntax, download: await download(session, { bytes: 1e6 }) };
    },
    { server, urls },
  );
  assert.equal(outcome.failure.name, 'WebTransportError');
  assert.equal(outcome.failure.source, 'session');
  assert.equal(outcome.syntax.name, 'SyntaxError');
  assert.equal(outcome.download.isIntact, true);
});

test('no more paths are opened than was allowed', async () => {
  const { urls } = await rig.listen({ lines: 2 });
  const failure = await rig.run(async (urls) => {
    const { failureOf, open } = globalThis.tests;
    const session = await open(urls[0], { maxPaths: 1 });
    return failureOf(session.addPath(urls[1]));
  }, urls);
  assert.equal(failure.name, 'WebTransportError');
});

test('the server advises another address, and it becomes a path', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, open, watch } = globalThis.tests;
      const session = await open(urls[0]);
      const events = watch(session);
      await control({ do: 'advertise', server, session: 0, line: 1 });
      const advised = await events.next('pathadvised');
      await events.next('pathadded');
      return { advised, paths: session.paths.map(({ url }) => url) };
    },
    { server, urls },
  );
  const authority = bare(urls[1]).slice(2);
  assert.ok(outcome.advised.detail.includes(authority), outcome.advised.detail);
  assert.ok(outcome.paths.some((url) => url.includes(authority)), outcome.paths.join());
});
