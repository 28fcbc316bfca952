import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { FakeCore, FakeWorker, settle } from './fake.mjs';
import { Kwik, useWorkers } from '../dist/kwik.js';
import { codeOf, KwikError } from '../dist/errors.js';
import { GATHER_MS } from '../dist/batcher.js';
import { DATAGRAM_CREDIT, MESSAGE_BYTES, READ_CREDIT, WRITE_CREDIT } from '../dist/protocol.js';

let sessions;
let makeCore;

beforeEach(() => {
  sessions = [];
  makeCore = undefined;
  FakeWorker.all = [];
  useWorkers(() => new FakeWorker(makeCore));
});

afterEach(async () => {
  for (const session of sessions) session.close();
  for (const worker of FakeWorker.all) worker.terminate();
  await settle();
});

function dial(urls = 'kwik://a:1', options = {}) {
  const session = new Kwik(urls, options);
  sessions.push(session);
  return session;
}

/** A session that is open, and what is at its other side. */
async function open() {
  const session = dial();
  await session.ready;
  return { session, core: FakeWorker.all.at(-1).cores.at(-1) };
}

const codeIs = (code) => (error) => error instanceof KwikError && error.streamErrorCode === code;

test('what is written arrives, in order, and the page keeps its buffer', async () => {
  const { session, core } = await open();
  const { writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  const buffer = new Uint8Array([1, 2, 3]);
  await writer.write(buffer);
  await writer.write(buffer.subarray(1));
  await writer.write(buffer.buffer);
  await writer.close();
  assert.deepEqual(core.stream(0).written, [1, 2, 3, 2, 3, 1, 2, 3]);
  assert.equal(core.stream(0).finished, true);
  assert.equal(buffer.byteLength, 3);
});

test('what arrives is read, to the end of the stream', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  core.stream(0).incoming.push(new Uint8Array([1, 2]));
  core.stream(0).incoming.push(new Uint8Array([3]));
  core.stream(0).incoming.end();
  const chunks = [];
  for await (const chunk of readable) chunks.push(...chunk);
  assert.deepEqual(chunks, [1, 2, 3]);
  await settle();
  assert.deepEqual(core.stream(0).calls, [['releaseRecv']]);
});

test('a reader with a buffer of its own gets as much as fits, and the rest the next time', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  const reader = readable.getReader({ mode: 'byob' });
  core.stream(0).incoming.push(new Uint8Array([1, 2, 3, 4, 5]));
  const first = await reader.read(new Uint8Array(3));
  assert.deepEqual([...first.value], [1, 2, 3]);
  const second = await reader.read(new Uint8Array(3));
  assert.deepEqual([...second.value], [4, 5]);
  core.stream(0).incoming.end();
  assert.equal((await reader.read(new Uint8Array(3))).done, true);
});

test('a writer whose session takes nothing is held back, and goes on when it does', async () => {
  const { session, core } = await open();
  const { writable } = await session.createBidirectionalStream();
  let unblock;
  core.stream(0).blocked = new Promise((resolve) => (unblock = resolve));
  const writer = writable.getWriter();
  const piece = new Uint8Array(WRITE_CREDIT / 4);
  let taken = 0;
  const writing = (async () => {
    for (let i = 0; i < 16; i += 1) {
      await writer.write(piece);
      taken += piece.byteLength;
    }
  })();
  await settle();
  assert.ok(taken <= WRITE_CREDIT, `${taken} bytes were taken`);
  assert.equal(writer.desiredSize, 0);
  unblock();
  await writing;
  await writer.close();
  assert.equal(core.stream(0).written.length, 4 * WRITE_CREDIT);
});

test('a page that does not read holds the session back, and goes on when it does', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  const piece = READ_CREDIT / 8;
  for (let i = 0; i < 32; i += 1) core.stream(0).incoming.push(new Uint8Array(piece));
  core.stream(0).incoming.end();
  await settle();
  assert.ok(core.stream(0).handedOut <= READ_CREDIT, `${core.stream(0).handedOut} bytes wait on the page`);
  let read = 0;
  for await (const chunk of readable) read += chunk.byteLength;
  assert.equal(read, 32 * piece);
});

/** How many messages of a type have passed between pages and workers. */
const messages = (type) => FakeWorker.all.flatMap((worker) => worker.messages).filter((each) => each === type).length;

const PIECE = MESSAGE_BYTES / 8;
const piece = (number) => new Uint8Array(PIECE).fill(number);

test('all that has arrived goes to the page in one message, and its room comes back in one', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  await settle();
  const before = messages('read');
  const numbers = Array.from({ length: 12 }, (_, number) => number);
  for (const number of numbers) core.stream(0).incoming.push(piece(number));
  const reader = readable.getReader();
  const read = [];
  while (read.length < numbers.length) {
    const { value } = await reader.read();
    for (let at = 0; at < value.byteLength; at += PIECE) read.push(value[at]);
  }
  assert.deepEqual(read, numbers);
  await settle();
  assert.equal(messages('data'), 1);
  assert.equal(messages('read') - before, 1);
});

test('a reader with buffers of its own gets every byte, in order, and the buffers of messages are used again', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  const reader = readable.getReader({ mode: 'byob' });
  for (let number = 0; number < 64; number += 1) core.stream(0).incoming.push(piece(number));
  core.stream(0).incoming.end();
  let read = 0;
  for (let buffer = new Uint8Array(100_000); ; ) {
    const { done, value } = await reader.read(buffer);
    if (done) break;
    assert.equal(value[0], Math.floor(read / PIECE));
    assert.equal(value.at(-1), Math.floor((read + value.byteLength - 1) / PIECE));
    read += value.byteLength;
    buffer = new Uint8Array(value.buffer);
  }
  assert.equal(read, 64 * PIECE);
});

test('bulk data that is written in pieces goes to the worker in few messages, in order', async (t) => {
  const { session, core } = await open();
  const writer = (await session.createUnidirectionalStream()).getWriter();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (let number = 0; number < 5; number += 1) {
    await writer.write(piece(number));
    await settle();
  }
  assert.equal(messages('write'), 1, 'the first piece does not wait, the others do');
  t.mock.timers.tick(GATHER_MS);
  await settle();
  assert.equal(messages('write'), 2);
  await writer.write(piece(5));
  await writer.close();
  const { written } = core.stream(0);
  assert.equal(written.length, 6 * PIECE);
  assert.ok(written.every((byte, at) => byte === Math.floor(at / PIECE)));
});

test('short messages do not wait for one another', async () => {
  const { session, core } = await open();
  const { readable, writable } = await session.createBidirectionalStream();
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  for (let turn = 0; turn < 3; turn += 1) {
    await writer.write(new Uint8Array([turn]));
    await settle();
    assert.deepEqual(core.stream(0).written.at(-1), turn);
    core.stream(0).incoming.push(new Uint8Array([turn + 10]));
    assert.deepEqual([...(await reader.read()).value], [turn + 10]);
  }
});

test('an abort resets the stream with its code, even while a write is held back', async () => {
  const { session, core } = await open();
  const writable = await session.createUnidirectionalStream();
  core.stream(0).blocked = new Promise(() => {});
  const writer = writable.getWriter();
  const writing = writer.write(new Uint8Array(2 * WRITE_CREDIT));
  writing.catch(() => {});
  await settle();
  await writer.abort(new KwikError('enough', { streamErrorCode: 7 }));
  await settle();
  assert.deepEqual(core.stream(0).calls, [['reset', 7], ['releaseSend']]);
  await assert.rejects(writing);
});

test('a cancelled reader stops the stream with its code', async () => {
  const { session, core } = await open();
  const { readable } = await session.createBidirectionalStream();
  await readable.cancel(new KwikError('enough', { streamErrorCode: 9 }));
  await settle();
  assert.deepEqual(core.stream(0).calls, [['stop', 9], ['releaseRecv']]);
});

test('a code is a whole number that fits on the wire, whoever is given it', async () => {
  const { session } = await open();
  for (const code of [-1, 0.5, NaN, Infinity, 2 ** 63]) {
    assert.throws(() => new KwikError('', { streamErrorCode: code }), RangeError);
    assert.throws(() => session.close({ closeCode: code }), RangeError);
    assert.equal(codeOf({ streamErrorCode: code }), 0, 'a reason that has none');
  }
  assert.equal(new KwikError('', { streamErrorCode: 2 ** 62 }).streamErrorCode, 2 ** 62, 'as a server may say');
});

test('a reset and a stop by the server carry their codes to reader and writer', async () => {
  const { session, core } = await open();
  const { readable, writable } = await session.createBidirectionalStream();
  core.stream(0).incoming.push({ kind: 'stream', message: 'reset', code: 5 });
  await assert.rejects(readable.getReader().read(), codeIs(5));
  core.stream(0).failure = { kind: 'stream', message: 'stopped', code: 6 };
  const writer = writable.getWriter();
  writer.write(new Uint8Array(1)).catch(() => {});
  await assert.rejects(writer.closed, codeIs(6));
});

test('a writer that writes nothing learns of a stop, too', async () => {
  const { session, core } = await open();
  const writer = (await session.createUnidirectionalStream()).getWriter();
  core.stream(0).delivery.reject({ kind: 'stream', message: 'stopped', code: 6 });
  await assert.rejects(writer.closed, codeIs(6));
  await settle();
  assert.deepEqual(core.stream(0).calls, [['releaseSend']]);
});

test('a writer is closed when the server has everything, and not before', async () => {
  const { session, core } = await open();
  const writer = (await session.createUnidirectionalStream()).getWriter();
  core.finish = () => {};
  let isClosed = false;
  const closing = writer.close().then(() => (isClosed = true));
  await settle();
  assert.equal(isClosed, false);
  core.stream(0).delivery.resolve();
  await closing;
});

test('streams of the server come in its order, until the session ends', async () => {
  const { session, core } = await open();
  core.accepts.true.push(1);
  core.accepts.false.push(3);
  core.stream(3).incoming.push(new Uint8Array([8]));
  const both = session.incomingBidirectionalStreams.getReader();
  const { value: stream } = await both.read();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([4]));
  await writer.close();
  assert.deepEqual(core.stream(1).written, [4]);
  const { value: one } = await session.incomingUnidirectionalStreams.getReader().read();
  assert.deepEqual([...(await one.getReader().read()).value], [8]);
  core.end({ closeCode: 0, reason: '' });
  assert.equal((await both.read()).done, true);
});

test('datagrams go both ways, and of those that nobody reads the newest stay', async () => {
  const { session, core } = await open();
  session.datagrams.incomingHighWaterMark = 2;
  assert.equal(session.datagrams.incomingMaxBufferedDatagrams, 2);
  for (const byte of [1, 2, 3]) core.datagrams.push(new Uint8Array([byte]));
  await settle();
  const reader = session.datagrams.readable.getReader();
  assert.deepEqual([...(await reader.read()).value], [2]);
  assert.deepEqual([...(await reader.read()).value], [3]);
  const writer = session.datagrams.writable.getWriter();
  await writer.write(new Uint8Array([9]));
  await writer.write(new Uint8Array(session.datagrams.maxDatagramSize + 1));
  await settle();
  assert.deepEqual(core.sentDatagrams.map((data) => [...data]), [[9]]);
});

test('a writer of datagrams that no path takes is held back, and goes on when one does', async () => {
  const { session, core } = await open();
  let unblock;
  core.datagramsBlocked = new Promise((resolve) => (unblock = resolve));
  const writer = session.datagrams.writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < 3 * DATAGRAM_CREDIT; written += 1) await writer.write(new Uint8Array([1]));
  })();
  await settle();
  assert.equal(written, DATAGRAM_CREDIT);
  unblock();
  await writing;
  await settle();
  assert.equal(core.sentDatagrams.length, 3 * DATAGRAM_CREDIT);
});

test('events tell of paths, and `paths` knows them', async () => {
  const { session, core } = await open();
  const seen = [];
  for (const type of ['pathadded', 'pathlost', 'suspended', 'resumed']) {
    session.addEventListener(type, (event) => seen.push([event.type, event.path, event.detail, session.paths.length]));
  }
  core.pathList = [];
  core.happenings.push({ type: 'pathlost', path: 0, message: 'it did not answer' });
  core.happenings.push({ type: 'suspended' });
  core.happenings.push({ type: 'draining' });
  await session.draining;
  assert.deepEqual(seen, [
    ['pathlost', 0, 'it did not answer', 0],
    ['suspended', undefined, undefined, 0],
  ]);
});

test('paths are added, counted and removed', async () => {
  const { session, core } = await open();
  const path = await session.addPath('kwik://b:2');
  assert.equal(path.url, 'kwik://b:2');
  const stats = await session.getStats();
  assert.deepEqual([stats.paths.length, stats.smoothedRtt, stats.bytesSent], [2, 2, 1]);
  await session.removePath(path);
  assert.deepEqual(core.calls, [['removePath', 1]]);
});

test('the first URL that answers opens the session, and the others become paths', async () => {
  makeCore = (address) => new FakeCore(address, { refuse: address.url === 'kwik://dead:1' });
  const session = dial(['kwik://dead:1', 'kwik://a:1', 'kwik://b:1']);
  await session.ready;
  await settle();
  const core = FakeWorker.all[0].cores[1];
  assert.deepEqual(core.pathList.slice(1).map(({ url }) => url), ['kwik://dead:1', 'kwik://b:1']);
});

test('a server that refuses fails `ready` and `closed` alike, and the worker goes', async () => {
  makeCore = (address) => new FakeCore(address, { refuse: true });
  const session = dial();
  const isRefusal = { name: 'WebTransportError', message: 'refused', source: 'session' };
  await assert.rejects(session.ready, isRefusal);
  await assert.rejects(session.closed, isRefusal);
  await assert.rejects(session.createBidirectionalStream(), isRefusal);
  assert.equal(Kwik.workerPool.stats().workers, 0);
});

test('a close by this end resolves with its own code and reason', async () => {
  const { session, core } = await open();
  session.close({ closeCode: 3, reason: 'done' });
  assert.deepEqual(await session.closed, { closeCode: 3, reason: 'done' });
  assert.deepEqual(core.calls, [['close', 3, 'done']]);
});

test('a close before the session is open fails both promises', async () => {
  makeCore = (address) => new FakeCore(address, { pending: true });
  const session = dial();
  await settle();
  session.close();
  await assert.rejects(session.ready);
  await assert.rejects(session.closed);
});

test('after the server has closed the session, what has arrived is still read', async () => {
  const { session, core } = await open();
  const { readable, writable } = await session.createBidirectionalStream();
  core.stream(0).incoming.push(new Uint8Array([1]));
  core.end({ closeCode: 4, reason: 'bye' });
  assert.deepEqual(await session.closed, { closeCode: 4, reason: 'bye' });
  await assert.rejects(writable.getWriter().closed, { message: /closed with code 4/ });
  core.stream(0).incoming.push(new Uint8Array([2]));
  core.stream(0).incoming.end();
  const chunks = [];
  for await (const chunk of readable) chunks.push(...chunk);
  assert.deepEqual(chunks, [1, 2]);
  await settle();
  assert.equal(Kwik.workerPool.stats().workers, 0);
});

test('a crash of the worker ends its sessions and their streams with an error that says so', async () => {
  const { session } = await open();
  const { readable } = await session.createBidirectionalStream();
  const reading = readable.getReader().read();
  FakeWorker.all[0].crash('unreachable executed');
  const isCrash = { name: 'WebTransportError', message: /worker.*crashed: unreachable executed/ };
  await assert.rejects(reading, isCrash);
  await assert.rejects(session.closed, isCrash);
  await assert.rejects(session.getStats(), isCrash);
  const { session: next } = await open();
  await next.ready;
  const { workers, crashed } = Kwik.workerPool.stats();
  assert.deepEqual([workers, crashed], [1, 1]);
});

test('hashes of certificates go along with every URL', async () => {
  const value = new Uint8Array(32).fill(7);
  dial(['kwik://a:1', 'kwik://b:1'], { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
  await settle();
  assert.deepEqual(FakeWorker.all[0].cores[0].address.pins, [value]);
});
