import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeEcho,
  encodeEcho,
  encodeRequest,
  encodeSent,
  expectReply,
  LineCutter,
  ProtocolError,
} from '../src/logic/protocol.js';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (of: string) => new TextEncoder().encode(of);

test('requests are lines that say the version', () => {
  assert.equal(text(encodeRequest({ get: { name: 'noise' } })), '{"kwik_files":1,"get":{"name":"noise"}}\n');
  assert.equal(text(encodeRequest({ put: { name: 'a', size: 7 } })), '{"kwik_files":1,"put":{"name":"a","size":7}}\n');
  assert.equal(text(encodeRequest({ echo: { path: 2 } })), '{"kwik_files":1,"echo":{"path":2}}\n');
  assert.equal(text(encodeSent('ab')), '{"sent":{"sha256":"ab"}}\n');
});

test('a request that is longer than a line may be is not sent', () => {
  assert.throws(() => encodeRequest({ get: { name: 'n'.repeat(5000) } }), ProtocolError);
});

test('the reply that is expected is returned, with what it may have besides', () => {
  assert.deepEqual(expectReply('{"sending":{"size":5,"offset":0},"mood":"good"}', 'sending'), { size: 5, offset: 0 });
});

test('a failure is thrown in the words of the server', () => {
  const line = '{"failed":{"reason":"not_found","message":"there is no \\"x\\""}}';
  assert.throws(() => expectReply(line, 'sending'), /the server refused: there is no "x"/);
});

test('another reply, and what is no JSON, are errors that show it', () => {
  assert.throws(() => expectReply('{"ready":{}}', 'stored'), /"ready".*in place of "stored"/);
  assert.throws(() => expectReply('HTTP/1.1 400', 'stored'), /not understood: HTTP/);
});

test('a line is cut wherever the pieces end', () => {
  const whole = bytes('{"ä":1}\nrest');
  for (let cut = 0; cut <= whole.byteLength; cut += 1) {
    const cutter = new LineCutter();
    const [first, second] = [whole.subarray(0, cut), whole.subarray(cut)];
    const early = cutter.push(first);
    const found = early ?? cutter.push(second);
    const rest = text(found?.rest ?? new Uint8Array()) + (early ? text(second) : '');
    assert.deepEqual([found?.line, rest], ['{"ä":1}', 'rest'], `cut at ${cut}`);
  }
});

test('a line that does not end is not kept for ever', () => {
  const cutter = new LineCutter();
  assert.throws(() => {
    for (let piece = 0; piece < 5; piece += 1) cutter.push(new Uint8Array(1000));
  }, ProtocolError);
});

test('a datagram says where it wants to come back, as the server reads it, and is known again', () => {
  const datagram = encodeEcho(5, 258);
  assert.deepEqual([...datagram], [...bytes('ECHO'), 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 2]);
  assert.equal(decodeEcho(datagram), 258);
});

test('datagrams of others are passed over', () => {
  assert.equal(decodeEcho(bytes('ECHO')), undefined);
  assert.equal(decodeEcho(new Uint8Array(20)), undefined);
});
