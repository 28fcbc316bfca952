/** The workers that a page's sessions share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

test('two sessions run in two workers at the same time, which end with the last of them', async () => {
  const { urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(async (urls) => {
    const { download, Kwik, open } = globalThis.tests;
    const sessions = await Promise.all(urls.map((url) => open(url, { workers: 2 })));
    const both = Kwik.workerPool.stats();
    const downloads = await Promise.all(
      sessions.map((session, seed) => download(session, { bytes: 20e6, seed, name: `${seed}` })),
    );
    sessions[0].close();
    await sessions[0].closed;
    const one = Kwik.workerPool.stats();
    sessions[1].close();
    await sessions[1].closed;
    return { both, downloads, one, none: Kwik.workerPool.stats() };
  }, urls);
  assert.deepEqual(outcome.both, { size: 2, workers: 2, sessions: [1, 1], started: 2, crashed: 0 });
  assert.deepEqual(outcome.downloads, Array(2).fill({ bytes: 20e6, isIntact: true }));
  assert.deepEqual(outcome.one.sessions, [0, 1]);
  assert.equal(outcome.none.workers, 0);
});

test('more sessions than workers share them', async () => {
  const { urls } = await rig.listen();
  const outcome = await rig.run(async (urls) => {
    const { download, Kwik, open } = globalThis.tests;
    const sessions = await Promise.all([1, 2, 3, 4, 5].map(() => open(urls, { workers: 2 })));
    const { workers, sessions: counts } = Kwik.workerPool.stats();
    const downloads = await Promise.all(
      sessions.map((session, seed) => download(session, { bytes: 1e6, seed, name: `${seed}` })),
    );
    return { workers, counts: counts.sort(), isIntact: downloads.every(({ isIntact }) => isIntact) };
  }, urls);
  assert.deepEqual(outcome, { workers: 2, counts: [2, 3], isIntact: true });
});
