/** A file on its way, in either direction: how far it is, and whether what arrived is what was sent. */

import type { Kwik } from 'kwik-transport';
import { encodeSent } from '../logic/protocol.js';
import { RateMeter, StallMeter } from '../logic/rate.js';
import { Digest } from './digest.js';
import { Exchange } from './exchange.js';
import { Source } from './source.js';

export interface Progress {
  doneBytes: number;
  totalBytes: number;
  /** Of the last second, in bytes per second. */
  rate: number;
  elapsedMs: number;
  /** The longest time without a byte. */
  stallMs: number;
}

export interface Sums {
  page: string;
  server: string;
}

/** A transfer that is under way, or over. */
export class Transfer {
  readonly #startMs = performance.now();
  readonly #stall = new StallMeter(this.#startMs);
  readonly #rate = new RateMeter();
  #doneBytes = 0;
  #totalBytes = 0;
  #isCancelled = false;
  #isOver = false;
  #endMs = 0;
  #exchange: Exchange | undefined;

  /** Asks the server for a file. */
  static download(kwik: Kwik, name: string): { transfer: Transfer; sums: Promise<Sums> } {
    const transfer = new Transfer();
    return { transfer, sums: transfer.#run(() => transfer.#download(kwik, name)) };
  }

  /** Gives the server so many made-up bytes, or a file. */
  static upload(kwik: Kwik, name: string, of: number | Blob): { transfer: Transfer; sums: Promise<Sums> } {
    const transfer = new Transfer();
    return { transfer, sums: transfer.#run(() => transfer.#upload(kwik, name, of)) };
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** How far it is, or was when it ended. */
  progress(): Progress {
    const nowMs = this.#isOver ? this.#endMs : performance.now();
    return {
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      rate: this.#rate.update(nowMs, this.#doneBytes),
      elapsedMs: nowMs - this.#startMs,
      stallMs: this.#stall.longest(nowMs),
    };
  }

  /** Gives it up: its promise is rejected. */
  cancel(): void {
    this.#isCancelled = true;
    this.#exchange?.abandon();
  }

  async #run(work: () => Promise<Sums>): Promise<Sums> {
    try {
      return await work();
    } catch (error) {
      this.#exchange?.abandon();
      throw error;
    } finally {
      this.#endMs = performance.now();
      this.#isOver = true;
    }
  }

  async #download(kwik: Kwik, name: string): Promise<Sums> {
    const exchange = await this.#begin(kwik, { get: { name } });
    // It resolves when the server has the request, which its answer shows as well.
    exchange.finish().catch(() => {});
    this.#totalBytes = (await exchange.reply('sending')).size;
    const digest = new Digest();
    try {
      while (this.#doneBytes < this.#totalBytes) {
        const chunk = await exchange.chunk(this.#totalBytes - this.#doneBytes);
        if (!chunk) throw new Error('the stream ends too early');
        this.#came(chunk.byteLength);
        await digest.update(chunk);
      }
      const [{ sha256: server }, page] = await Promise.all([exchange.reply('sent'), digest.finish()]);
      return { page, server };
    } finally {
      digest.close();
    }
  }

  async #upload(kwik: Kwik, name: string, of: number | Blob): Promise<Sums> {
    const size = typeof of === 'number' ? of : of.size;
    this.#totalBytes = size;
    const exchange = await this.#begin(kwik, { put: { name, size } });
    await exchange.reply('ready');
    const source = new Source(of);
    try {
      for (let piece = await source.next(); piece; piece = await source.next()) {
        const bytes = piece.byteLength;
        await exchange.write(piece);
        this.#came(bytes);
      }
      await exchange.write(encodeSent(source.sha256));
      const [{ sha256: server }] = await Promise.all([exchange.reply('stored'), exchange.finish()]);
      return { page: source.sha256, server };
    } finally {
      source.close();
    }
  }

  async #begin(kwik: Kwik, request: Parameters<typeof Exchange.begin>[1]): Promise<Exchange> {
    const exchange = await Exchange.begin(kwik, request);
    this.#exchange = exchange;
    if (this.#isCancelled) exchange.abandon();
    return exchange;
  }

  #came(bytes: number): void {
    this.#doneBytes += bytes;
    this.#stall.progress(performance.now());
  }
}
