/** Datagrams that come back: so many a second, one after the other over all active paths. */

import type { Kwik } from 'kwik-transport';
import { LatencyHistogram } from '../logic/histogram.js';
import { decodeEcho, encodeEcho } from '../logic/protocol.js';
import { Tally } from '../logic/tally.js';

/** One that is not back by then is lost. */
const PATIENCE_MS = 2000;
const TICK_MS = 20;
/** Datagrams that may wait to be sent. */
const MAX_UNDER_WAY = 100;

export class DatagramProbe {
  readonly tally = new Tally(PATIENCE_MS);
  readonly latencies = new LatencyHistogram();
  #writer: WritableStreamDefaultWriter<BufferSource>;
  #perSecond = 0;
  #owed = 0;
  #underWay = 0;
  #tickedMs = performance.now();
  #ticking: ReturnType<typeof setInterval>;

  /** Counts for this session, as long as it lasts; only one at a time may read its datagrams. */
  constructor(private readonly kwik: Kwik) {
    this.#writer = kwik.datagrams.writable.getWriter();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    void this.#read();
  }

  /** Sends so many from now on; 0 for none. */
  setRate(perSecond: number): void {
    this.#perSecond = perSecond;
    this.#owed = 0;
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#owed += (this.#perSecond * (nowMs - this.#tickedMs)) / 1000;
    this.#tickedMs = nowMs;
    this.tally.expire(nowMs);
    // What could not be sent in time, the page being in the background, is not made up for.
    const due = Math.min(Math.floor(this.#owed), this.#perSecond);
    this.#owed -= Math.floor(this.#owed);
    const paths = this.kwik.paths.filter(({ state }) => state === 'active');
    if (paths.length === 0) return;
    for (let count = 0; count < due && this.#underWay < MAX_UNDER_WAY; count += 1) {
      const token = this.tally.send(nowMs);
      void this.#send(encodeEcho(paths[token % paths.length]?.id ?? 0, token));
    }
  }

  async #send(datagram: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#underWay += 1;
    // One that is not taken is one that does not come back.
    await this.#writer.write(datagram).catch(() => {});
    this.#underWay -= 1;
  }

  async #read(): Promise<void> {
    const reader = this.kwik.datagrams.readable.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const token = decodeEcho(value);
        const ms = token === undefined ? undefined : this.tally.receive(token, performance.now());
        if (ms !== undefined) this.latencies.add(ms);
      }
    } catch {
      // The session ended, which the page tells elsewhere.
    } finally {
      clearInterval(this.#ticking);
    }
  }
}
