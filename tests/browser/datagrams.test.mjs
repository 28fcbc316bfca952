/** Tests of datagrams, which may be lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

test('datagrams go both ways, whole and unchanged', async () => {
  const { urls } = await rig.listen({ lines: 2 });
  const outcome = await rig.run(async (urls) => {
    const { open, randomBytes } = globalThis.tests;
    const session = await open(urls);
    const reader = session.datagrams.readable.getReader();
    const writer = session.datagrams.writable.getWriter();
    const data = randomBytes(session.datagrams.maxDatagramSize);
    // Any of them may be lost: it goes on until enough are back.
    let isEnough = false;
    const sending = (async () => {
      for (let number = 1; !isEnough; number = (number % 1000) + 1) await writer.write(data.subarray(0, number));
    })();
    const lengths = new Set();
    while (lengths.size < 500) {
      const { value } = await reader.read();
      if (value.some((byte, at) => byte !== data[at])) return 'changed';
      lengths.add(value.byteLength);
    }
    isEnough = true;
    await sending;
    return 'unchanged';
  }, urls);
  assert.equal(outcome, 'unchanged');
});

test('the longest datagram goes through, and one that is longer is dropped', async () => {
  const { urls } = await rig.listen();
  const outcome = await rig.run(async (urls) => {
    const { open } = globalThis.tests;
    const session = await open(urls);
    const reader = session.datagrams.readable.getReader();
    const writer = session.datagrams.createWritable().getWriter();
    const most = session.datagrams.maxDatagramSize;
    await writer.write(new Uint8Array(most + 1));
    const reading = reader.read();
    let isBack = false;
    reading.then(() => (isBack = true));
    while (!isBack) await writer.write(new Uint8Array(most));
    return { most, got: (await reading).value.byteLength };
  }, urls);
  assert.equal(outcome.got, outcome.most);
  assert.ok(outcome.most >= 1000, `${outcome.most} bytes`);
});

test('the server sends a datagram by itself', async () => {
  const { server, urls } = await rig.listen();
  const text = await rig.run(
    async ({ server, urls }) => {
      const { control, open } = globalThis.tests;
      const session = await open(urls);
      const reading = session.datagrams.readable.getReader().read();
      let isHere = false;
      reading.then(() => (isHere = true));
      while (!isHere) await control({ do: 'datagram', server, session: 0, text: 'hello' });
      return new TextDecoder().decode((await reading).value);
    },
    { server, urls },
  );
  assert.equal(text, 'hello');
});

test('datagrams that nobody reads are dropped, and a session with a flood of them still works', async () => {
  const { urls } = await rig.listen();
  const outcome = await rig.run(async (urls) => {
    const { download, open } = globalThis.tests;
    const session = await open(urls);
    const writer = session.datagrams.writable.getWriter();
    for (let count = 0; count < 3000; count += 1) {
      await writer.ready;
      writer.write(new Uint8Array(1000)).catch(() => {});
    }
    return download(session, { bytes: 5e6 });
  }, urls);
  assert.deepEqual(outcome, { bytes: 5e6, isIntact: true });
});
