import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateMeter, StallMeter } from '../src/logic/rate.js';

test('a steady count has its own rate', () => {
  const meter = new RateMeter(1000);
  for (let ms = 0; ms < 3000; ms += 100) meter.update(ms, ms * 5);
  assert.equal(meter.update(3000, 15_000), 5000);
});

test('one sample has no rate', () => {
  assert.equal(new RateMeter().update(10, 1000), 0);
});

test('a count that stands still has no rate once the window is over', () => {
  const meter = new RateMeter(1000);
  meter.update(0, 0);
  meter.update(100, 4000);
  assert.ok(meter.update(600, 4000) > 0);
  assert.equal(meter.update(1200, 4000), 0);
});

test('a count that begins anew gives no negative rate', () => {
  const meter = new RateMeter();
  meter.update(0, 5000);
  assert.equal(meter.update(100, 10), 0);
  assert.equal(meter.update(200, 110), 1000);
});

test('the longest stall is the longest time without progress, the last one included', () => {
  const stall = new StallMeter(0);
  for (const ms of [10, 20, 320, 330]) stall.progress(ms);
  assert.equal(stall.longest(340), 300);
  assert.equal(stall.longest(1330), 1000);
});
