/**
 * The page is looked at again, or the network is back: a session without paths dials at once.
 *
 * That it is the hint which makes it dial is certain because nothing else can: its worker's timers are stopped.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

/** Runs in the page: `hint` says what the page, or the browser in its worker, notices. */
const resumeAfter = async ({ server, urls, hint }) => {
  const { control, download, open, watch } = globalThis.tests;
  const OriginalWorker = globalThis.Worker;
  globalThis.Worker = class extends OriginalWorker {
    constructor(_url, options) {
      super('/page/stoppable_worker.js', options);
    }
  };
  const worker = new BroadcastChannel('stoppable worker');
  const tell = (wish) =>
    new Promise((resolve) => {
      worker.onmessage = resolve;
      worker.postMessage(wish);
    });
  const session = await open(urls, { resumeTimeout: 600_000, pathTimeout: 1000 });
  const events = watch(session);
  await tell('refuse dials');
  await control({ do: 'silence', server });
  // That a path is silent shows when there is something to say.
  const downloading = download(session, { bytes: 1e6 });
  await events.next('suspended');
  await tell('stop timers');
  await control({ do: 'restore', server });
  await tell('allow dials');
  const before = events.seen.filter(({ type }) => type === 'resumed').length;
  if (hint === 'visible') document.dispatchEvent(new Event('visibilitychange'));
  else await tell(hint);
  await events.next('resumed');
  return { before, download: await downloading };
};

for (const hint of ['visible', 'online']) {
  test(`a session without paths dials at once when the page is ${hint} again`, async () => {
    const { server, urls } = await rig.listen();
    const outcome = await rig.run(resumeAfter, { server, urls, hint });
    assert.deepEqual(outcome, { before: 0, download: { bytes: 1e6, isIntact: true } });
  });
}
