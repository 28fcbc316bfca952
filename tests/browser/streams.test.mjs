/** Tests of streams: both kinds, opened from both sides, also such as end early. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

/** A page with a session runs a situation. */
async function inSession(situation) {
  const { server, urls } = await rig.listen({ lines: 2 });
  return rig.run(situation, { server, urls });
}

test('the page opens a unidirectional stream, and the server has all of it', async () => {
  const outcome = await inSession(async ({ server, urls }) => {
    const { control, open, randomBytes, requestLine, sha256 } = globalThis.tests;
    const session = await open(urls);
    const writer = (await session.createUnidirectionalStream()).getWriter();
    const data = randomBytes(300_000);
    writer.write(requestLine({ name: 'letter', sink: {} }));
    writer.write(data);
    await writer.close();
    const had = await control({ do: 'outcome', server, name: 'letter' });
    return { had, sent: { bytes: data.byteLength, sha256: await sha256(data) } };
  });
  assert.deepEqual(outcome.had, outcome.sent);
});

test('the server opens streams of both kinds', async () => {
  const outcome = await inSession(async ({ server, urls }) => {
    const { control, incoming, open, readAll } = globalThis.tests;
    const session = await open(urls);
    const to = { do: 'open', server, session: 0 };
    await control({ ...to, bidirectional: false, request: { source: { bytes: 5000 } } });
    const letter = await readAll(await incoming(session.incomingUnidirectionalStreams));
    await control({ ...to, bidirectional: true, request: { echo: {} } });
    const { readable, writable } = await incoming(session.incomingBidirectionalStreams);
    const writer = writable.getWriter();
    writer.write(new TextEncoder().encode('and back'));
    writer.close();
    return { letter: letter.byteLength, text: new TextDecoder().decode(await readAll(readable)) };
  });
  assert.deepEqual(outcome, { letter: 5000 + 32, text: 'opened\nand back' });
});

test('500 small streams at once come back, each to whom it belongs', async () => {
  const wrong = await inSession(async ({ urls }) => {
    const { ask, open, readAll } = globalThis.tests;
    const session = await open(urls);
    const exchange = async (number) => {
      const { readable, writer } = await ask(session, { name: `${number}`, echo: {} });
      writer.write(new TextEncoder().encode(`message ${number}`));
      writer.close();
      return new TextDecoder().decode(await readAll(readable)) === `message ${number}`;
    };
    const outcomes = await Promise.all(Array.from({ length: 500 }, (_, number) => exchange(number)));
    return outcomes.filter((isRight) => !isRight).length;
  });
  assert.equal(wrong, 0);
});

test('500 unidirectional streams of the server at once all arrive', async () => {
  const bytes = await inSession(async ({ server, urls }) => {
    const { control, open, readAll } = globalThis.tests;
    const session = await open(urls);
    const request = (number) => ({ name: `${number}`, source: { bytes: 100 + number } });
    const opening = Array.from({ length: 500 }, (_, number) =>
      control({ do: 'open', server, session: 0, bidirectional: false, request: request(number) }),
    );
    const reader = session.incomingUnidirectionalStreams.getReader();
    const lengths = [];
    while (lengths.length < 500) lengths.push((await readAll((await reader.read()).value)).byteLength - 32);
    await Promise.all(opening);
    return lengths.sort((a, b) => a - b);
  });
  assert.deepEqual(bytes, Array.from({ length: 500 }, (_, number) => 100 + number));
});

test('a reader with a buffer of its own gets it filled', async () => {
  const outcome = await inSession(async ({ urls }) => {
    const { ask, open, randomBytes, sha256 } = globalThis.tests;
    const session = await open(urls);
    const { readable, writer } = await ask(session, { echo: {} });
    const data = randomBytes(200_000);
    writer.write(data);
    writer.close();
    const reader = readable.getReader({ mode: 'byob' });
    const got = new Uint8Array(data.byteLength);
    let buffer = new Uint8Array(1000);
    for (let at = 0; ; ) {
      const { done, value } = await reader.read(buffer);
      if (done) return { bytes: at, isSame: (await sha256(got)) === (await sha256(data)) };
      got.set(value, at);
      at += value.byteLength;
      buffer = new Uint8Array(value.buffer);
    }
  });
  assert.deepEqual(outcome, { bytes: 200_000, isSame: true });
});

test('the server resets a stream: what the page reads ends with its code', async () => {
  const failure = await inSession(async ({ urls }) => {
    const { ask, failureOf, open, readAll } = globalThis.tests;
    const session = await open(urls);
    const { readable } = await ask(session, { reset: { code: 33, after: 100 } });
    return failureOf(readAll(readable));
  });
  const { message: _, ...rest } = failure;
  assert.deepEqual(rest, { name: 'WebTransportError', source: 'stream', streamErrorCode: 33 });
});

test('the server stops a stream: what the page writes fails with its code', async () => {
  const outcome = await inSession(async ({ urls }) => {
    const { ask, failureOf, open } = globalThis.tests;
    const session = await open(urls);
    const { writer } = await ask(session, { stop: { code: 34 } });
    const closed = await failureOf(writer.closed);
    return { closed, write: await failureOf(writer.write(new Uint8Array(1))) };
  });
  const { message: _, ...rest } = outcome.closed;
  assert.deepEqual(rest, { name: 'WebTransportError', source: 'stream', streamErrorCode: 34 });
  assert.deepEqual(outcome.write, outcome.closed);
});

test('the page aborts a stream: the server reads a reset with its code', async () => {
  const outcome = await inSession(async ({ server, urls }) => {
    const { ask, control, open } = globalThis.tests;
    const session = await open(urls);
    const { writer } = await ask(session, { name: 'given up', sink: {} });
    await writer.write(new Uint8Array(1000));
    // A reset overtakes what was written before it, the request included.
    const progress = () => control({ do: 'progress', server, name: 'given up' });
    while ((await progress()).received < 1000);
    await writer.abort(new WebTransportError({ message: 'enough', streamErrorCode: 35 }));
    return control({ do: 'outcome', server, name: 'given up' });
  });
  assert.deepEqual(outcome, { reset: 35 });
});

test('the page cancels a stream: the server is stopped with its code', async () => {
  const outcome = await inSession(async ({ server, urls }) => {
    const { ask, control, open } = globalThis.tests;
    const session = await open(urls);
    const { readable } = await ask(session, { name: 'unwanted', source: { bytes: 1e9 } });
    const reader = readable.getReader();
    await reader.read();
    await reader.cancel(new WebTransportError({ message: 'enough', streamErrorCode: 36 }));
    return control({ do: 'outcome', server, name: 'unwanted' });
  });
  assert.deepEqual(outcome, { stopped: 36 });
});

test('one stream that was given up leaves the others alone', async () => {
  const outcome = await inSession(async ({ urls }) => {
    const { ask, download, open } = globalThis.tests;
    const session = await open(urls);
    const others = [1, 2, 3].map((seed) => download(session, { bytes: 2e6, seed, name: `${seed}` }));
    const { writer, readable } = await ask(session, { name: 'given up', echo: {} });
    writer.write(new Uint8Array(1e6)).catch(() => {});
    writer.abort();
    readable.cancel();
    return Promise.all(others);
  });
  assert.deepEqual(outcome, Array(3).fill({ bytes: 2e6, isIntact: true }));
});
