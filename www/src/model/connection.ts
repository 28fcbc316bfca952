/** The one session of the page: what state it is in, and what happens to it. */

import { Kwik, type KwikEvent, type KwikEventMap, type KwikStats } from 'kwik-transport';
import { Signal } from './signal.js';

/**
 * Chromium (156) lets a page wait before it dials once more, twice as long for each connection that failed in the last
 * minutes, up to a minute; whoever gives up earlier than that adds to it, and never gets through to a line that is back
 * after a long cut. A server that does not answer is given up by the browser itself, after four seconds.
 */
const HANDSHAKE_TIMEOUT_MS = 70_000;

const EVENTS = ['pathadded', 'pathsuspect', 'pathlost', 'pathrecovered', 'suspended', 'resumed'] as const;

export type Phase = 'waiting' | 'connecting' | 'open' | 'suspended' | 'closed' | 'failed';

export interface Happening {
  /** `pathmissed`: a path is lost before it was part of the session. */
  type: keyof KwikEventMap | 'pathmissed' | 'open' | 'closed' | 'failed';
  /** Where the path leads, for what concerns one. */
  url: string | undefined;
  path: number | undefined;
  detail: string | undefined;
}

export class Connection {
  /** The phase is another one. */
  readonly changed = new Signal();
  readonly happened = new Signal<Happening>();
  #phase: Phase = 'waiting';
  #kwik: Kwik | undefined;
  #ending = '';
  /** Where paths lead; a session forgets those that are gone. */
  #urls = new Map<number, string>();
  #opened = new Set<number>();

  get phase(): Phase {
    return this.#phase;
  }
  /** Why the session ended, if it did. */
  get ending(): string {
    return this.#ending;
  }
  /** The session, while there is one: open, or without a path for the moment. */
  get kwik(): Kwik | undefined {
    return this.#phase === 'open' || this.#phase === 'suspended' ? this.#kwik : undefined;
  }

  /** Whether there is a session, or soon will be. */
  get isAlive(): boolean {
    return this.#phase === 'connecting' || this.kwik !== undefined;
  }

  /** Opens a session, unless there is one. */
  open(url: string): void {
    if (this.isAlive) return;
    this.#urls.clear();
    this.#opened.clear();
    this.#ending = '';
    this.#kwik = newSession(url);
    this.#follow(this.#kwik);
    this.#become('connecting');
  }

  /** Closes the session in good order. */
  close(): void {
    this.#kwik?.close({ closeCode: 0, reason: 'closed by the page' });
  }

  /** Figures as of now; `undefined` when there is no session. */
  async stats(): Promise<KwikStats | undefined> {
    const stats = await this.kwik?.getStats().catch(() => undefined);
    this.#remember();
    return stats;
  }

  #follow(kwik: Kwik): void {
    kwik.ready.then(
      () => {
        this.#tell('open', undefined);
        this.#become('open');
      },
      () => {},
    );
    kwik.closed.then(
      ({ closeCode = 0, reason = '' }) => {
        this.#ending = reason || `code ${closeCode}`;
        this.#tell('closed', undefined, this.#ending);
        this.#become('closed');
      },
      (error: unknown) => {
        this.#ending = messageOf(error);
        this.#tell('failed', undefined, this.#ending);
        this.#become('failed');
      },
    );
    for (const type of EVENTS) kwik.addEventListener(type, (event) => this.#on(event));
  }

  #on({ type, path, detail }: KwikEvent): void {
    this.#remember();
    const isMissed = type === 'pathlost' && path !== undefined && !this.#opened.has(path);
    this.#tell(isMissed ? 'pathmissed' : (type as keyof KwikEventMap), path, detail);
    if (type === 'suspended') this.#become('suspended');
    if (type === 'resumed') this.#become('open');
  }

  #remember(): void {
    for (const { id, url, state } of this.#kwik?.paths ?? []) {
      this.#urls.set(id, url);
      if (state === 'active' || state === 'standby') this.#opened.add(id);
    }
  }

  #tell(type: Happening['type'], path: number | undefined, detail?: string): void {
    const url = path === undefined ? undefined : this.#urls.get(path);
    this.happened.emit({ type, url, path, detail });
  }

  #become(phase: Phase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.changed.emit();
  }
}

/** A session as all of this page are. */
export function newSession(url: string): Kwik {
  return new Kwik(url, { handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
