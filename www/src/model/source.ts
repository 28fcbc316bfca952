/** Bytes to send, made or read in a worker of the page's own, which computes their SHA-256 on the way. */

import type { FromSource, ToSource } from '../work/messages.js';

/** Pieces that are asked for ahead of their use. */
const AHEAD = 8;

export class Source {
  #worker = new Worker(new URL('../work/source.worker.ts', import.meta.url), { type: 'module', name: 'source' });
  #asked: PromiseWithResolvers<Uint8Array<ArrayBuffer> | undefined>[] = [];
  #answered = 0;
  #sha256 = '';

  /** So many made-up bytes, or a file. */
  constructor(of: number | Blob) {
    this.#worker.onmessage = ({ data }: MessageEvent<FromSource>) => this.#on(data);
    this.#worker.onerror = (event) => this.#fail(`the worker that makes the bytes failed: ${event.message}`);
    this.#tell({ type: 'begin', of });
    for (let ahead = 0; ahead < AHEAD; ahead += 1) this.#ask();
  }

  /** The sum of all of it, in hexadecimal, once `next` has come to the end. */
  get sha256(): string {
    return this.#sha256;
  }

  /** The next piece; `undefined` at the end. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const piece = await this.#asked[0]?.promise;
    this.#asked.shift();
    this.#answered -= 1;
    if (piece) this.#ask();
    return piece;
  }

  /** Ends the worker. */
  close(): void {
    this.#worker.terminate();
  }

  #ask(): void {
    const question = Promise.withResolvers<Uint8Array<ArrayBuffer> | undefined>();
    question.promise.catch(() => {});
    this.#asked.push(question);
    this.#tell({ type: 'next' });
  }

  #on(message: FromSource): void {
    if (message.type === 'failed') {
      this.#fail(message.message);
      return;
    }
    if (message.type === 'end') this.#sha256 = message.sha256;
    this.#asked[this.#answered]?.resolve(message.type === 'bytes' ? message.bytes : undefined);
    this.#answered += 1;
  }

  #fail(message: string): void {
    for (const question of this.#asked) question.reject(new Error(message));
  }

  #tell(message: ToSource): void {
    this.#worker.postMessage(message);
  }
}
