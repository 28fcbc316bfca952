/**
 * Latencies in bins whose widths grow with the value, so that a millisecond and ten seconds fit on one chart.
 *
 * Counting is done in fine bins, from which the percentiles come, right to within two per cent; the chart shows
 * several of them as one bar. Memory does not grow with the number of latencies.
 */

const LEAST_MS = 0.05;
const DECADES = 6;
const FINE_PER_DECADE = 60;
const FINE_PER_BAR = 6;
const FINE_BINS = DECADES * FINE_PER_DECADE;

/** One bar of the chart: latencies from `fromMs` up to, but not including, `toMs`. */
export interface Bar {
  fromMs: number;
  toMs: number;
  count: number;
}

export class LatencyHistogram {
  #bins = new Uint32Array(FINE_BINS);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  /** The longest one, exactly. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** Counts a latency; one beyond the bins counts in the nearest. */
  add(ms: number): void {
    if (!(ms >= 0)) return;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, ms);
    const bin = binOf(ms);
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1;
  }

  /** The latency that `share` (0 to 1) of all stay within; `undefined` as long as there are none. */
  percentile(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const wanted = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [bin, count] of this.#bins.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(edgeOf(bin + 0.5), this.#maxMs);
    }
    return this.#maxMs;
  }

  /** The bars from the first to the last that are not empty, and one more at either end. */
  bars(): Bar[] {
    const bars = Array.from({ length: FINE_BINS / FINE_PER_BAR }, (_, index) => this.#bar(index));
    const first = bars.findIndex(({ count }) => count > 0);
    const last = bars.findLastIndex(({ count }) => count > 0);
    return first < 0 ? [] : bars.slice(Math.max(0, first - 1), last + 2);
  }

  clear(): void {
    this.#bins.fill(0);
    this.#count = 0;
    this.#maxMs = 0;
  }

  #bar(index: number): Bar {
    const from = index * FINE_PER_BAR;
    const count = this.#bins.subarray(from, from + FINE_PER_BAR).reduce((sum, bin) => sum + bin, 0);
    return { fromMs: edgeOf(from), toMs: edgeOf(from + FINE_PER_BAR), count };
  }
}

function edgeOf(bin: number): number {
  return LEAST_MS * 10 ** (bin / FINE_PER_DECADE);
}

function binOf(ms: number): number {
  const bin = Math.floor(Math.log10(ms / LEAST_MS) * FINE_PER_DECADE);
  return Math.min(Math.max(bin, 0), FINE_BINS - 1);
}
