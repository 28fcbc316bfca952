/** A rate out of a count that only grows, over the last moments. */

interface Sample {
  atMs: number;
  total: number;
}

/** Bytes per second over a window that slides: as smooth as the window is long, and 0 once nothing came for its length. */
export class RateMeter {
  #samples: Sample[] = [];

  constructor(private readonly windowMs = 1000) {}

  /** Takes down the count as of now and returns the rate. A count that became smaller begins anew. */
  update(atMs: number, total: number): number {
    const last = this.#samples.at(-1);
    if (last && total < last.total) this.#samples = [];
    this.#samples.push({ atMs, total });
    // The newest sample that is as old as the window stays: the rate is over the window, not over less.
    while ((this.#samples[1]?.atMs ?? Infinity) <= atMs - this.windowMs) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || atMs <= first.atMs) return 0;
    return ((total - first.total) * 1000) / (atMs - first.atMs);
  }
}

/** The longest time between two moments at which something came on. */
export class StallMeter {
  #lastMs: number;
  #longestMs = 0;

  constructor(startMs: number) {
    this.#lastMs = startMs;
  }

  /** Something came on. */
  progress(atMs: number): void {
    this.#longestMs = this.longest(atMs);
    this.#lastMs = atMs;
  }

  /** The longest one, the one that may be going on included. */
  longest(atMs: number): number {
    return Math.max(this.#longestMs, atMs - this.#lastMs);
  }
}
