/** Paths that fall silent in the midst of a transfer. A silent line is a cable that was pulled: nobody is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();
/** So that there is a midst. */
const LINE = { rateMbit: 160 };
const BYTES = 60e6;
const WHOLE = { bytes: BYTES, isIntact: true };

/** Runs in the page: cuts a line, or all of them, when a transfer is at a third. */
const transferWithCut = async ({ server, urls, bytes, direction, line }) => {
  const { control, download, open, upload, watch } = globalThis.tests;
  const session = await open(urls);
  const events = watch(session);
  let cut;
  const onProgress = (done) => {
    if (done >= bytes / 3) cut ??= control({ do: 'silence', server, line });
  };
  const transfer = { download, upload }[direction](session, { bytes, name: 'transfer', onProgress });
  if (line === undefined) {
    await events.next('suspended');
    await control({ do: 'restore', server });
    await events.next('resumed');
  } else {
    // Not always suspect before: the server may notice first, and say so on the other path.
    await events.next('pathlost');
  }
  const outcome = await transfer;
  await cut;
  const { resumes, pathFailures } = await session.getStats();
  return { outcome, events: events.seen, resumes, pathFailures };
};

for (const direction of ['download', 'upload']) {
  test(`one of two paths falls silent during a${direction === 'upload' ? 'n' : ''} ${direction}`, async () => {
    const { server, urls } = await rig.listen({ lines: 2, ...LINE });
    const situation = { server, urls, bytes: BYTES, direction, line: 0 };
    const { outcome, events, pathFailures } = await rig.run(transferWithCut, situation);
    assert.deepEqual(outcome, WHOLE);
    assert.ok(pathFailures > 0);
    assert.ok(!events.some(({ type }) => type === 'suspended'));
    const lost = events.find(({ type }) => type === 'pathlost');
    assert.equal(lost.path, 0);
    assert.ok(lost.detail, 'why it was lost');
  });

  test(`all paths fall silent during a${direction === 'upload' ? 'n' : ''} ${direction}, and come back`, async () => {
    const { server, urls } = await rig.listen({ lines: 2, ...LINE });
    const situation = { server, urls, bytes: BYTES, direction };
    const { outcome, events, resumes } = await rig.run(transferWithCut, situation);
    assert.deepEqual(outcome, WHOLE);
    assert.ok(resumes >= 1, `${resumes} resumes`);
    // With no line left nobody can say that a path is gone: it is suspect, then given up.
    for (const path of [0, 1]) {
      const fate = events.filter((event) => event.path === path).map(({ type }) => type);
      assert.deepEqual(fate.slice(fate.lastIndexOf('pathsuspect')), ['pathsuspect', 'pathlost'], `path ${path}: ${fate}`);
    }
  });
}

test('a path that was lost is dialled anew, and is part of the session again', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, download, open, watch } = globalThis.tests;
      const session = await open(urls);
      const events = watch(session);
      const [first] = session.paths;
      await control({ do: 'silence', server, line: 0 });
      const lost = await events.next('pathlost');
      await control({ do: 'restore', server });
      const added = await events.next('pathadded');
      const { paths } = await session.getStats();
      const back = paths.find(({ id }) => id === added.path);
      return { first, lost, back, download: await download(session, { bytes: 5e6 }) };
    },
    { server, urls },
  );
  assert.equal(outcome.lost.path, outcome.first.id);
  assert.equal(outcome.back.url, outcome.first.url);
  assert.notEqual(outcome.back.id, outcome.first.id);
  assert.equal(outcome.download.isIntact, true);
});

test('a session without any path for too long ends with an error that says so', async () => {
  const { server, urls } = await rig.listen();
  const failure = await rig.run(
    async ({ server, urls }) => {
      const { ask, control, failureOf, open } = globalThis.tests;
      const session = await open(urls, { resumeTimeout: 1000, pathTimeout: 1000 });
      const { readable, writer } = await ask(session, { echo: {} });
      await control({ do: 'silence', server });
      const closed = await failureOf(session.closed);
      const read = await failureOf(readable.getReader().read());
      const write = await failureOf(writer.closed);
      const open_ = await failureOf(session.createBidirectionalStream());
      return { closed, read, write, open: open_ };
    },
    { server, urls },
  );
  assert.equal(failure.closed.name, 'WebTransportError');
  assert.equal(failure.closed.source, 'session');
  assert.match(failure.closed.message, /no path came back within/);
  assert.deepEqual([failure.read, failure.write, failure.open], Array(3).fill(failure.closed));
});
