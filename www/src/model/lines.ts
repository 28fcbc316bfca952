/** The lines of the demo, as the server has them: read again and again, since others may cut them, too. */

import type { Line } from '../logic/rows.js';
import { api, ApiError, type Demo } from './api.js';
import { Signal } from './signal.js';

const POLL_MS = 1000;
/** A line that was cut for a time is looked at this long after that. */
const SOON_MS = 50;

export interface LineChange {
  line: Line;
  what: 'added' | 'cut' | 'restored';
}

export class Lines {
  /** After any change of what is below. */
  readonly changed = new Signal();
  /** What happened to a line since it was first seen. */
  readonly happened = new Signal<LineChange>();
  #lines: Line[] = [];
  #demo: Demo | undefined;
  #isReachable: boolean | undefined;

  get all(): readonly Line[] {
    return this.#lines;
  }
  get demo(): Demo | undefined {
    return this.#demo;
  }
  /** Whether the server answered when it was last asked; `undefined` before that. */
  get isReachable(): boolean | undefined {
    return this.#isReachable;
  }
  get isFull(): boolean {
    return this.#lines.length >= (this.#demo?.max_lines ?? 0);
  }

  /** Reads the lines now and from now on. */
  async watch(): Promise<never> {
    for (;;) {
      await this.refresh();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async refresh(): Promise<void> {
    try {
      const demo = await api.demo();
      this.#isReachable = true;
      this.#demo = demo;
      this.#learn(demo.lines);
    } catch {
      this.#isReachable = false;
      this.changed.emit();
    }
  }

  async add(): Promise<void> {
    this.#learn([await this.#ask(api.addLine())]);
  }

  async cut(id: number): Promise<void> {
    this.#learn([await this.#ask(api.cut(id))]);
  }

  async restore(id: number): Promise<void> {
    this.#learn([await this.#ask(api.restore(id))]);
  }

  /** The server restores the lines by itself. */
  async cutAll(seconds: number): Promise<void> {
    const { lines, restored_in_ms } = await this.#ask(api.cutAll(seconds));
    this.#learn(lines);
    setTimeout(() => void this.refresh(), restored_in_ms + SOON_MS);
  }

  async #ask<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      this.#isReachable = error instanceof ApiError && error.isRefusal;
      this.changed.emit();
      throw error;
    }
  }

  #learn(news: readonly Line[]): void {
    const isFirst = this.#lines.length === 0;
    const changes = news.map((line): LineChange | undefined => {
      const known = this.#lines.find(({ id }) => id === line.id);
      if (!known) return isFirst ? undefined : { line, what: 'added' };
      return known.cut === line.cut ? undefined : { line, what: line.cut ? 'cut' : 'restored' };
    });
    const others = this.#lines.filter(({ id }) => news.every((line) => line.id !== id));
    this.#lines = [...others, ...news].sort((a, b) => a.id - b.id);
    for (const change of changes) if (change) this.happened.emit(change);
    this.changed.emit();
  }
}
