import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBytes,
  formatClock,
  formatHex,
  formatMbit,
  formatMs,
  formatRate,
  formatSeconds,
} from '../src/logic/format.js';
import { authorityOf, lineName } from '../src/logic/names.js';

test('sizes, rates and times have three digits and a unit', () => {
  assert.equal(formatBytes(0), '0 B');
  assert.equal(formatBytes(999), '999 B');
  assert.equal(formatBytes(100_000_000), '100 MB');
  assert.equal(formatBytes(1_234_567), '1.23 MB');
  assert.equal(formatRate(18_750_000), '18.8 MB/s');
  assert.equal(formatMbit(0), '0 Mbit/s');
  assert.equal(formatMbit(18_750_000), '150 Mbit/s');
  assert.equal(formatMbit(1_000_000), '8.0 Mbit/s');
  assert.equal(formatMs(20.34), '20.3 ms');
  assert.equal(formatMs(2034), '2.03 s');
  assert.equal(formatSeconds(12_340), '12.3 s');
});

test('the time of day is to the tenth of a second', () => {
  assert.equal(formatClock(new Date(2026, 0, 1, 7, 5, 3, 990)), '07:05:03.9');
});

test('bytes are written as two hexadecimal digits each', () => {
  assert.equal(formatHex(new Uint8Array([0, 10, 255])), '000aff');
});

test('lines have letters, and an address has host and port', () => {
  assert.equal(lineName(0), 'Line A');
  assert.equal(lineName(27), 'Line 27');
  assert.equal(authorityOf('kwik://127.0.0.1:7000?pin=abc'), '127.0.0.1:7000');
  assert.equal(authorityOf('https://[::1]:5/.well-known/kwik/1'), '[::1]:5');
});
