/** One path for each line: what the session does not dial by itself is added here. */

import type { Line } from '../logic/rows.js';
import type { Connection } from './connection.js';
import type { Lines } from './lines.js';

const RETRY_MS = 2000;

/**
 * A session dials a path anew that was there once. One that never was, since its line was cut from the beginning or
 * is new, has to be added, and added again if that fails.
 */
export class PathKeeper {
  /** Lines that have had a path in this session, or are getting one. */
  #kept = new Set<number>();

  constructor(
    private readonly connection: Connection,
    private readonly lines: Lines,
  ) {
    connection.changed.subscribe(() => this.#addMissing());
    lines.changed.subscribe(() => this.#addMissing());
  }

  /** Opens a session over one line; the others follow once it is open. */
  connect(): void {
    // A line that is cut would only take time.
    const line = this.lines.all.find(({ cut }) => !cut) ?? this.lines.all[0];
    if (!line || this.connection.isAlive) return;
    this.#kept = new Set([line.id]);
    this.connection.open(line.url);
  }

  #addMissing(): void {
    if (this.connection.phase !== 'open') return;
    const missing = this.lines.all.filter(({ id, cut }) => !cut && !this.#kept.has(id));
    for (const line of missing) void this.#add(line);
  }

  async #add(line: Line): Promise<void> {
    const kept = this.#kept;
    kept.add(line.id);
    try {
      await this.connection.kwik?.addPath(line.url);
    } catch {
      setTimeout(() => {
        kept.delete(line.id);
        this.#addMissing();
      }, RETRY_MS);
    }
  }
}
