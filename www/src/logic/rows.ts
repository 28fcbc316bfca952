/** What there is to say about each line, out of what the server says about lines and the session about paths. */

import { authorityOf } from './names.js';
import { RateMeter } from './rate.js';

/** A line, as the server describes it. */
export interface Line {
  id: number;
  url: string;
  cut: boolean;
  rate_mbit: number;
  delay_ms: number;
}

/** The part of a session's path that counts here. */
export interface Path {
  id: number;
  state: string;
  url: string;
  rtt?: number;
  bytesSent: number;
  bytesReceived: number;
}

/** A line and the path over it, now. Rates are in bytes per second. */
export interface Row {
  line: Line;
  /** A path's own state; `lost` while it is dialled anew, `none` before there was one. */
  state: string;
  path: number | undefined;
  rttMs: number | undefined;
  downRate: number;
  upRate: number;
  downBytes: number;
  upBytes: number;
}

/** Paths come and go, a line's count goes on. */
class LineCount {
  readonly #down = new RateMeter();
  readonly #up = new RateMeter();
  #ofPath = new Map<number, { down: number; up: number }>();
  #wasReached = false;

  row(atMs: number, line: Line, path: Path | undefined): Row {
    if (path && path.state !== 'opening') this.#wasReached = true;
    if (path) this.#ofPath.set(path.id, { down: path.bytesReceived, up: path.bytesSent });
    let [downBytes, upBytes] = [0, 0];
    for (const { down, up } of this.#ofPath.values()) {
      downBytes += down;
      upBytes += up;
    }
    return {
      line,
      state: this.#state(path),
      path: path?.id,
      rttMs: path?.rtt,
      downRate: this.#down.update(atMs, downBytes),
      upRate: this.#up.update(atMs, upBytes),
      downBytes,
      upBytes,
    };
  }

  #state(path: Path | undefined): string {
    const isThere = path && path.state !== 'closed';
    if (isThere && path.state !== 'opening') return path.state;
    if (this.#wasReached) return 'lost';
    return isThere ? 'opening' : 'none';
  }
}

/** Keeps the counts of one session's lines. */
export class Rows {
  #counts = new Map<number, LineCount>();

  /** One row for each line, in their order. */
  update(atMs: number, lines: readonly Line[], paths: readonly Path[]): Row[] {
    return lines.map((line) => {
      const authority = authorityOf(line.url);
      const own = paths.filter(({ url }) => authorityOf(url) === authority);
      let count = this.#counts.get(line.id);
      if (!count) this.#counts.set(line.id, (count = new LineCount()));
      // While one path ends and the next one opens, the one that carries something is the one to show.
      const path = own.find(({ state }) => state === 'active') ?? own.find(({ state }) => state !== 'closed') ?? own[0];
      return count.row(atMs, line, path);
    });
  }
}
