import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram } from '../src/logic/histogram.js';

function histogramOf(...latencies: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const ms of latencies) histogram.add(ms);
  return histogram;
}

function assertNear(actual: number | undefined, wanted: number): void {
  assert.ok(actual !== undefined && Math.abs(actual / wanted - 1) < 0.02, `${actual} is not about ${wanted}`);
}

test('percentiles are right to within two per cent', () => {
  const histogram = histogramOf(...Array.from({ length: 1000 }, (_, index) => index + 1));
  assertNear(histogram.percentile(0.5), 500);
  assertNear(histogram.percentile(0.99), 990);
  assert.equal(histogram.maxMs, 1000);
  assert.equal(histogram.count, 1000);
});

test('no percentile is above the longest latency', () => {
  const histogram = histogramOf(20.01);
  assert.ok((histogram.percentile(1) ?? Infinity) <= 20.01);
});

test('an empty histogram has neither percentiles nor bars', () => {
  const histogram = histogramOf();
  assert.equal(histogram.percentile(0.5), undefined);
  assert.deepEqual(histogram.bars(), []);
});

test('the bars cover every latency once, ten to a decade, with an empty one at either end', () => {
  const bars = histogramOf(1.1, 10.5, 10.6, 99).bars();
  assert.equal(bars.reduce((sum, { count }) => sum + count, 0), 4);
  assert.equal(bars[0]?.count, 0);
  assert.equal(bars.at(-1)?.count, 0);
  for (const { fromMs, toMs } of bars) assertNear(toMs / fromMs, 10 ** 0.1);
});

test('what is beyond the bins counts in the nearest, and what is no latency does not count', () => {
  const histogram = histogramOf(0, 1e9, -1, NaN);
  assert.equal(histogram.count, 2);
  assert.equal(histogram.maxMs, 1e9);
  assert.equal(histogram.bars().reduce((sum, { count }) => sum + count, 0), 2);
});

test('a histogram can begin anew', () => {
  const histogram = histogramOf(5);
  histogram.clear();
  assert.equal(histogram.count, 0);
  assert.equal(histogram.percentile(0.5), undefined);
});
