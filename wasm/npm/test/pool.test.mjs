import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerPool } from '../dist/pool.js';

function makePool() {
  const workers = [];
  const pool = new WorkerPool(() => {
    const worker = { told: [], isTerminated: false, postMessage: (envelope) => worker.told.push(envelope.message) };
    worker.terminate = () => (worker.isTerminated = true);
    workers.push(worker);
    return worker;
  });
  const open = (size, onCrash = () => {}, onMessage = () => {}) => {
    const lease = pool.open({ onMessage, onCrash }, size);
    lease.postMessage('begin');
    return lease;
  };
  return { pool, workers, open };
}

test('a worker starts with its first session, and sessions go where the fewest are', () => {
  const { pool, workers, open } = makePool();
  for (let session = 0; session < 5; session += 1) open(2);
  assert.deepEqual(workers.map(({ told }) => told.length), [3, 2]);
  assert.deepEqual(pool.stats(), { size: 2, workers: 2, sessions: [3, 2], started: 2, crashed: 0 });
});

test('a worker without a session is used before another one is started', () => {
  const { pool, open } = makePool();
  open(4);
  const second = open(4);
  second.release();
  open(4);
  assert.equal(pool.stats().started, 2);
});

test('what a worker says goes to the session that it is said to, until that is over', () => {
  const { workers, open } = makePool();
  const heard = [];
  const first = open(1, undefined, (message) => heard.push(['first', message]));
  open(1, undefined, (message) => heard.push(['second', message]));
  for (const session of [2, 1]) workers[0].onmessage({ data: { session, message: 'hello' } });
  first.release();
  workers[0].onmessage({ data: { session: 1, message: 'too late' } });
  assert.deepEqual(heard, [['second', 'hello'], ['first', 'hello']]);
  assert.deepEqual(workers[0].told, ['begin', 'begin', { type: 'end' }]);
});

test('with the last session all workers end, and the next session begins anew', () => {
  const { pool, workers, open } = makePool();
  const leases = [open(2), open(2)];
  leases[0].release();
  assert.ok(workers.every(({ isTerminated }) => !isTerminated));
  leases[1].release();
  leases[1].release();
  assert.ok(workers.every(({ isTerminated }) => isTerminated));
  assert.equal(pool.stats().workers, 0);
  open(1);
  assert.deepEqual(pool.stats().sessions, [1]);
});

test('a worker that crashes takes its own sessions along, is told of once, and is replaced', () => {
  const { pool, workers, open } = makePool();
  const crashed = [];
  open(2, (why) => crashed.push(['first', why]));
  open(2, (why) => crashed.push(['second', why]));
  const event = { message: 'out of memory', preventDefault() {} };
  workers[0].onerror(event);
  workers[0].onerror(event);
  assert.deepEqual(crashed, [['first', 'the worker of this session crashed: out of memory']]);
  assert.deepEqual(pool.stats(), { size: 2, workers: 1, sessions: [1], started: 2, crashed: 1 });
  open(2);
  assert.deepEqual(pool.stats().sessions, [1, 1]);
});

test('a number of workers that is none is refused', () => {
  const { open } = makePool();
  for (const size of [0, -1, 1.5, Number.NaN]) assert.throws(() => open(size), RangeError);
});
