import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeCore } from './fake.mjs';
import { KwikSession } from '../dist/session.js';
import { ThisThread } from '../dist/thread.js';

// Node's threads have none.
globalThis.addEventListener ??= () => {};

test('sessions of one thread are apart, and load the module once', async () => {
  const cores = [];
  const start = (address) => {
    cores.push(new FakeCore(address));
    return cores.at(-1);
  };
  let loads = 0;
  const here = new ThisThread(async () => {
    loads += 1;
    return start;
  });
  const sessions = ['kwik://a:1', 'kwik://b:1'].map((url) => new KwikSession(url, {}, here));
  await Promise.all(sessions.map((session) => session.ready));
  for (const session of sessions) {
    const writer = (await session.createUnidirectionalStream()).getWriter();
    await writer.write(new TextEncoder().encode(session === sessions[0] ? 'a' : 'b'));
    await writer.close();
  }
  assert.deepEqual(cores.map((core) => core.stream(0).written), [[97], [98]]);
  sessions[0].close({ closeCode: 3 });
  assert.equal((await sessions[0].closed).closeCode, 3);
  assert.equal((await sessions[1].getStats()).bytesSent, 1);
  assert.equal(loads, 1);
  sessions[1].close();
});

test('a module that could not be loaded is loaded for the next session', async () => {
  let isThere = false;
  const here = new ThisThread(async () => {
    if (!isThere) throw new TypeError('no network');
    return (address) => new FakeCore(address);
  });
  await assert.rejects(new KwikSession('kwik://a:1', {}, here).ready, /could not be loaded.*no network/);
  isThere = true;
  const session = new KwikSession('kwik://a:1', {}, here);
  await session.ready;
  session.close();
});
