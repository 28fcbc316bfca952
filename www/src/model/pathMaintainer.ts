/** The maintenance of one path per line: the paths that the session does not dial by itself. */

import type { Line } from '../logic/rows.js';
import type { Connection } from './connection.js';
import type { Lines } from './lines.js';

const RETRY_MS = 2000;

/**
 * Adds a path for each line that has none. A session redials only paths that were open before; one whose line is new, or
 * was cut from the beginning, has to be added, and added again if that fails.
 */
export class PathMaintainer {
  /** Lines that have had a path in this session, or are getting one. */
  #maintained = new Set<number>();

  constructor(
    private readonly connection: Connection,
    private readonly lines: Lines,
  ) {
    connection.changed.subscribe(() => this.#addMissing());
    lines.changed.subscribe(() => this.#addMissing());
  }

  /** Opens a session over one line; the others follow once it is open. */
  connect(): void {
    // Over a line that is cut, dialling would only time out.
    const line = this.lines.all.find(({ cut }) => !cut) ?? this.lines.all[0];
    if (!line || this.connection.isAlive) return;
    this.#maintained = new Set([line.id]);
    this.connection.open(line.url);
  }

  #addMissing(): void {
    if (this.connection.phase !== 'open') return;
    const missing = this.lines.all.filter(({ id, cut }) => !cut && !this.#maintained.has(id));
    for (const line of missing) void this.#add(line);
  }

  async #add(line: Line): Promise<void> {
    const maintained = this.#maintained;
    maintained.add(line.id);
    try {
      await this.connection.kwik?.addPath(line.url);
    } catch {
      setTimeout(() => {
        maintained.delete(line.id);
        this.#addMissing();
      }, RETRY_MS);
    }
  }
}
