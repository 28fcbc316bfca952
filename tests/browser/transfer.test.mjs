/** Tests of large transfers, and of the load that they put on the page's own thread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

for (const lines of [1, 2]) {
  test(`100 MB each way over ${lines} path${lines > 1 ? 's' : ''} arrive as they were`, async () => {
    const { urls } = await rig.listen({ lines });
    const outcome = await rig.run(async (urls) => {
      const { download, open, upload } = globalThis.tests;
      const session = await open(urls);
      const down = await download(session, { bytes: 100e6, name: 'down' });
      const up = await upload(session, { bytes: 100e6, name: 'up' });
      return { down, up };
    }, urls);
    const whole = { bytes: 100e6, isIntact: true };
    assert.deepEqual(outcome, { down: whole, up: whole });
  });
}

test('50 MB each way at the same time arrive as they were', async () => {
  const { urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(async (urls) => {
    const { download, open, upload } = globalThis.tests;
    const session = await open(urls);
    return Promise.all([
      download(session, { bytes: 50e6, name: 'down' }),
      upload(session, { bytes: 50e6, name: 'up' }),
    ]);
  }, urls);
  assert.deepEqual(outcome, Array(2).fill({ bytes: 50e6, isIntact: true }));
});

test('bulk data comes to the page in few messages: one each 4 ms, or half of what may wait there', async () => {
  const { urls } = await rig.listen();
  const bytes = 50e6;
  const { messages, durationMs } = await rig.run(
    async ({ urls, bytes }) => {
      const { download, open } = globalThis.tests;
      let messages = 0;
      globalThis.Worker = class extends Worker {
        constructor(...args) {
          super(...args);
          this.addEventListener('message', ({ data }) => (messages += data.message.type === 'data' ? 1 : 0));
        }
      };
      const session = await open(urls);
      const started = performance.now();
      await download(session, { bytes, name: 'down' });
      return { messages, durationMs: performance.now() - started };
    },
    { urls, bytes },
  );
  // One for each of the browser's reads would be some 1,500 in 300 ms.
  const most = durationMs / 4 + (2 * bytes) / 2 ** 20 + 10;
  assert.ok(messages <= most, `${messages} messages in ${durationMs} ms`);
});

/** Runs in the page: the longest task of its thread during 200 MB each way; the browser tells of those above 50 ms. */
const longestTasks = async (urls) => {
  const { ask, open, randomBytes } = globalThis.tests;
  const session = await open(urls);
  const data = randomBytes(1e6);

  const longestDuring = async (transfer) => {
    const durations = [0];
    const keep = (entries) => entries.forEach(({ duration }) => durations.push(duration));
    const observer = new PerformanceObserver((list) => keep(list.getEntries()));
    observer.observe({ type: 'longtask' });
    await transfer();
    keep(observer.takeRecords());
    observer.disconnect();
    return Math.max(...durations);
  };

  const down = async () => {
    const { readable, writer } = await ask(session, { name: 'down', source: { bytes: 200e6 } });
    writer.close();
    for await (const _ of readable);
  };
  const up = async () => {
    const { readable, writer } = await ask(session, { name: 'up', sink: {} });
    for (let megabyte = 0; megabyte < 200; megabyte += 1) await writer.write(data);
    await writer.close();
    for await (const _ of readable);
  };
  return { down: await longestDuring(down), up: await longestDuring(up) };
};

test("200 MB each way leave the page's own thread free", async (t) => {
  const { urls } = await rig.listen({ lines: 2 });
  // On a machine that does a lot else, a task is long when the thread had to wait for its turn: not every time.
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const { down, up } = await rig.run(longestTasks, urls);
    t.diagnostic(`longest task, 0 if none was longer than 50 ms: down ${down} ms, up ${up} ms`);
    if (down === 0 && up === 0) return;
  }
  assert.fail('every time there was a task above 50 ms');
});
