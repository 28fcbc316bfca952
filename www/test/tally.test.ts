import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from '../src/logic/tally.js';

const PATIENCE_MS = 100;

test('each one that was sent has come back, is lost, or is on its way', () => {
  const tally = new Tally(PATIENCE_MS);
  const first = tally.send(0);
  tally.send(10);
  tally.send(60);
  assert.equal(tally.receive(first, 30), 30);
  tally.expire(110);
  assert.deepEqual([tally.sent, tally.returned, tally.lost], [3, 1, 1]);
});

test('one that comes back twice, too late, or was never sent does not count', () => {
  const tally = new Tally(PATIENCE_MS);
  const [first, second] = [tally.send(0), tally.send(0)];
  tally.receive(first, 5);
  tally.expire(PATIENCE_MS);
  assert.equal(tally.receive(first, 200), undefined);
  assert.equal(tally.receive(second, 200), undefined);
  assert.equal(tally.receive(99, 200), undefined);
  assert.deepEqual([tally.returned, tally.lost], [1, 1]);
});
