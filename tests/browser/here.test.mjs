/** Sessions that run in the thread which makes them: an application's own worker, or a page's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firefoxPath, launch, launchFirefox } from './browser.mjs';
import { useRig } from './rig.mjs';

const BYTES = 30e6;
const WHOLE = { bytes: BYTES, isIntact: true };
const LINES = { lines: 2, rateMbit: 160 };

const browsers = { Chromium: launch, ...(firefoxPath && { Firefox: launchFirefox }) };
for (const [name, launchBrowser] of Object.entries(browsers)) testsIn(name, useRig(launchBrowser));

function testsIn(name, rig) {
  test(`${name}: a session in a worker of the application needs no other, and survives a path`, async () => {
    const { server, urls } = await rig.listen(LINES);
    const outcome = await rig.run(
      (question) =>
        new Promise((resolve, reject) => {
          const worker = new Worker('/page/own_worker.js', { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(question);
        }),
      { server, urls, bytes: BYTES },
    );
    assert.deepEqual(outcome, { down: WHOLE, up: WHOLE, closed: { closeCode: 5, reason: 'done' } });
  });

  test(`${name}: sessions in the page's own thread are apart from each other and from the workers'`, async () => {
    const { urls } = await rig.listen();
    const outcome = await rig.run(async (urls) => {
      const { download, Kwik, open } = globalThis.tests;
      const { Kwik: Here } = await import('/here.js');
      const sessions = [await open(urls, {}, Here), await open(urls, {}, Here), await open(urls)];
      const [first, ...others] = sessions;
      const load = (session, index) => download(session, { bytes: 1e6, seed: index, name: `${index}` });
      const all = await Promise.all(sessions.map(load));
      first.close();
      await first.closed;
      return {
        all,
        rest: await Promise.all(others.map((session, index) => load(session, index + 3))),
        workers: Kwik.workerPool.stats().sessions,
        areSessions: sessions.map((session) => [session instanceof Kwik, session instanceof Here]),
      };
    }, urls);
    const whole = { bytes: 1e6, isIntact: true };
    assert.deepEqual(outcome, {
      all: Array(3).fill(whole),
      rest: Array(2).fill(whole),
      workers: [1],
      areSessions: [[false, true], [false, true], [true, false]],
    });
  });

  test(`${name}: when the module fails, its sessions in this thread say so, and later ones do`, async () => {
    const { urls } = await rig.listen();
    const outcome = await rig.run(async (urls) => {
      const { failureOf, open } = globalThis.tests;
      const [{ Kwik: Here }, { Session }] = await Promise.all([import('/here.js'), import('/core.js')]);
      const sessions = [await open(urls, {}, Here), await open(urls, {}, Here)];
      const uncaught = [];
      globalThis.addEventListener('error', (event) => uncaught.push(event.defaultPrevented));
      Session.prototype.stats = () => {
        throw new TypeError('it is broken');
      };
      sessions[0].getStats().catch(() => {});
      const closed = await Promise.all(sessions.map((session) => failureOf(session.closed)));
      return { closed, later: await failureOf(new Here(urls).ready), uncaught };
    }, urls);
    for (const { message } of [...outcome.closed, outcome.later]) {
      assert.match(message, /KWIK crashed in this thread: .*it is broken/);
    }
    assert.deepEqual(outcome.uncaught, [true]);
  });
}
