import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Line, type Path, Rows } from '../src/logic/rows.js';

const A: Line = { id: 0, url: 'kwik://127.0.0.1:7000?pin=x', cut: false, rate_mbit: 150, delay_ms: 10 };
const B: Line = { ...A, id: 1, url: 'kwik://127.0.0.1:7001?pin=x' };

function path(id: number, state: string, line: Line, bytesReceived = 0): Path {
  return { id, state, url: line.url.replace(/\?.*/, ''), bytesSent: 0, bytesReceived };
}

test('a path belongs to the line with its address', () => {
  const rows = new Rows().update(0, [A, B], [path(4, 'suspect', B), path(3, 'active', A)]);
  assert.deepEqual(rows.map(({ path, state }) => [path, state]), [[3, 'active'], [4, 'suspect']]);
});

test('a line without a path has none, until there was one: then it is lost', () => {
  const rows = new Rows();
  const stateOf = (paths: Path[]) => rows.update(0, [A], paths)[0]?.state;
  assert.equal(stateOf([]), 'none');
  assert.equal(stateOf([path(0, 'opening', A)]), 'opening');
  assert.equal(stateOf([path(0, 'active', A)]), 'active');
  assert.equal(stateOf([]), 'lost');
  // Dialling goes on all the time while a line is cut.
  assert.equal(stateOf([path(1, 'opening', A)]), 'lost');
  assert.equal(stateOf([path(1, 'active', A)]), 'active');
});

test("a line's count goes on when another path takes over", () => {
  const rows = new Rows();
  rows.update(0, [A], [path(0, 'active', A, 1000)]);
  rows.update(500, [A], []);
  const [row] = rows.update(1000, [A], [path(1, 'active', A, 500)]);
  assert.equal(row?.downBytes, 1500);
  assert.equal(row?.downRate, 500);
});

test('while one path ends and another is there, the one that works is shown', () => {
  const [row] = new Rows().update(0, [A], [path(0, 'closing', A), path(1, 'active', A)]);
  assert.equal(row?.path, 1);
});
