/** What each line carried over the last minute, and the sums that a stacked chart draws. */

export const WINDOW_S = 60;

interface Sample {
  atS: number;
  /** Rates by line. */
  rates: ReadonlyMap<number, number>;
}

/** Columns for a chart: the times, and for each line the sum of its own and all lines' rates below it. */
export interface Stacked {
  times: number[];
  sums: number[][];
}

export class RateHistory {
  #samples: Sample[] = [];

  /** Adds the rates at a time, in seconds; forgets what is older than the window. */
  add(atS: number, rates: ReadonlyMap<number, number>): void {
    this.#samples.push({ atS, rates });
    // One sample outside of the window stays, for the chart to begin at its edge.
    while ((this.#samples[1]?.atS ?? Infinity) < atS - WINDOW_S) this.#samples.shift();
  }

  /** The rates of these lines, the first of them at the bottom. */
  stacked(lines: readonly number[]): Stacked {
    const times = this.#samples.map(({ atS }) => atS);
    const below = new Array<number>(times.length).fill(0);
    const sums = lines.map((line) =>
      this.#samples.map(({ rates }, index) => {
        below[index] = (below[index] ?? 0) + (rates.get(line) ?? 0);
        return below[index] ?? 0;
      }),
    );
    return { times, sums };
  }
}
