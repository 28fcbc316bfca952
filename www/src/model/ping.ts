/** Ping-pong: a small message on a stream comes back, then the next one goes. */

import type { Kwik } from 'kwik-transport';
import { LatencyHistogram } from '../logic/histogram.js';
import { Exchange } from './exchange.js';

const MESSAGE_BYTES = 32;
/** Between a pong and the next ping, for the page to have time for other things. */
const PAUSE_MS = 10;
/** A stream that wants its echo on a path that there is none of gets it on any. */
const ANY_PATH = 2 ** 32;

export class PingPong {
  #isOver = false;
  #exchange: Exchange | undefined;

  constructor(private readonly histogram: LatencyHistogram) {}

  /** Goes on until it is stopped; rejects when the session ends. */
  async run(kwik: Kwik): Promise<void> {
    const exchange = await Exchange.begin(kwik, { echo: { path: ANY_PATH } });
    this.#exchange = exchange;
    try {
      while (!this.#isOver) {
        const startMs = performance.now();
        await exchange.write(new Uint8Array(MESSAGE_BYTES));
        if (!(await cameBack(exchange))) throw new Error('the server ended the stream');
        this.histogram.add(performance.now() - startMs);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    } catch (error) {
      if (!this.#isOver) throw error;
    } finally {
      exchange.abandon();
    }
  }

  stop(): void {
    this.#isOver = true;
    this.#exchange?.abandon();
  }
}

async function cameBack(exchange: Exchange): Promise<boolean> {
  for (let missing = MESSAGE_BYTES; missing > 0; ) {
    const chunk = await exchange.chunk(missing);
    if (!chunk) return false;
    missing -= chunk.byteLength;
  }
  return true;
}
