import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateHistory, WINDOW_S } from '../src/logic/history.js';

test('each line stands on the lines before it', () => {
  const history = new RateHistory();
  history.add(1, new Map([[0, 5], [1, 7]]));
  history.add(2, new Map([[0, 6]]));
  assert.deepEqual(history.stacked([0, 1]), { times: [1, 2], sums: [[5, 6], [12, 6]] });
});

test('a line that was added later carried nothing before', () => {
  const history = new RateHistory();
  history.add(1, new Map([[0, 5]]));
  assert.deepEqual(history.stacked([0, 3]).sums, [[5], [5]]);
});

test('what is older than the window is forgotten, except for one sample that the chart begins with', () => {
  const history = new RateHistory();
  for (let second = 0; second <= 2 * WINDOW_S; second += 1) history.add(second, new Map());
  const { times } = history.stacked([]);
  assert.equal(times[0], WINDOW_S - 1);
  assert.equal(times.length, WINDOW_S + 2);
});
