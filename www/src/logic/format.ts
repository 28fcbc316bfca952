/** Figures as people read them. Sizes and rates are decimal: 1 MB is a million bytes. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Three digits, fewer where they say nothing. */
export function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : digits(value)} ${UNITS[unit]}`;
}

/** A path's rate, in the unit that lines are sold in. */
export function formatMbit(bytesPerSecond: number): string {
  const mbit = (bytesPerSecond * 8) / 1e6;
  return `${mbit >= 100 || mbit < 0.05 ? mbit.toFixed(0) : mbit.toFixed(1)} Mbit/s`;
}

/** A transfer's rate, in the unit of files. */
export function formatRate(bytesPerSecond: number): string {
  return `${digits(bytesPerSecond / 1e6)} MB/s`;
}

export function formatMs(ms: number): string {
  return ms >= 1000 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`;
}

export function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** Time of day, to the tenth of a second. */
export function formatClock(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const tenth = Math.floor(date.getMilliseconds() / 100);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${tenth}`;
}

export function formatHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
