/** The SHA-256 of what passes, computed in a worker of the page's own. */

import type { FromDigest, ToDigest } from '../work/messages.js';

/** What may wait for the worker: enough to keep it busy. */
const MAX_WAITING_BYTES = 4 << 20;

export class Digest {
  #worker = new Worker(new URL('../work/digest.worker.ts', import.meta.url), { type: 'module', name: 'digest' });
  #waitingBytes = 0;
  #wake: (() => void) | undefined;
  #sha256 = Promise.withResolvers<string>();

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromDigest>) => {
      if (data.type === 'sha256') this.#sha256.resolve(data.sha256);
      else this.#waitingBytes -= data.bytes;
      this.#wake?.();
    };
    this.#worker.onerror = (event) => {
      this.#sha256.reject(new Error(`the worker that computes the sum failed: ${event.message}`));
      this.#wake?.();
    };
    this.#sha256.promise.catch(() => {});
  }

  /** Takes bytes over; resolves when there is room for more. */
  async update(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#waitingBytes += bytes.byteLength;
    this.#tell({ type: 'bytes', bytes }, [bytes.buffer]);
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The sum of all that it has taken, in hexadecimal. */
  finish(): Promise<string> {
    this.#tell({ type: 'end' }, []);
    return this.#sha256.promise;
  }

  /** Ends the worker. */
  close(): void {
    this.#worker.terminate();
  }

  #tell(message: ToDigest, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer);
  }
}
