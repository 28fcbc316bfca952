/** What the lines carry, four times a second. */

import { RateHistory } from '../logic/history.js';
import { type Row, Rows } from '../logic/rows.js';
import type { Connection } from './connection.js';
import type { Lines } from './lines.js';
import { Signal } from './signal.js';

const SAMPLE_MS = 250;

/** Something to be seen on the chart, at a time in seconds. */
export interface Mark {
  atS: number;
  what: 'cut' | 'restored' | 'suspended' | 'resumed';
  line: number | undefined;
}

/** Seconds since the page was loaded: the chart's clock. */
export function nowS(): number {
  return performance.now() / 1000;
}

export class Traffic {
  /** There are new rows. */
  readonly sampled = new Signal();
  readonly history = new RateHistory();
  readonly marks: Mark[] = [];
  #rows: Row[] = [];
  #counts = new Rows();
  #isSampling = false;

  constructor(
    private readonly connection: Connection,
    private readonly lines: Lines,
  ) {
    connection.changed.subscribe(() => {
      if (connection.phase === 'connecting') this.#counts = new Rows();
    });
    connection.happened.subscribe(({ type }) => {
      if (type === 'suspended' || type === 'resumed') this.#mark(type, undefined);
      // A session that ends is not suspended any longer.
      if (type === 'failed' || type === 'closed') this.#mark('resumed', undefined);
    });
    lines.happened.subscribe(({ line, what }) => {
      if (what !== 'added') this.#mark(what, line.id);
    });
    lines.changed.subscribe(() => void this.#sample());
    setInterval(() => void this.#sample(), SAMPLE_MS);
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  #mark(what: Mark['what'], line: number | undefined): void {
    this.marks.push({ atS: nowS(), what, line });
  }

  async #sample(): Promise<void> {
    if (this.#isSampling) return;
    this.#isSampling = true;
    const counts = this.#counts;
    const stats = await this.connection.stats();
    this.#isSampling = false;
    if (counts !== this.#counts) return;
    const atS = nowS();
    this.#rows = counts.update(atS * 1000, this.lines.all, stats?.paths ?? []);
    this.history.add(atS, new Map(this.#rows.map(({ line, downRate, upRate }) => [line.id, downRate + upRate])));
    this.sampled.emit();
  }
}
