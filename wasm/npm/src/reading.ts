import type { Buffers } from './buffers.js';
import { failureOf } from './failure.js';
import type { CoreSession, WorkerPort } from './workerSession.js';

/**
 * The receiving half of a stream in the worker: hands what arrives on to the page, as far as the page's credit goes.
 * A message costs the two threads as much as copying some hundred KB. Bulk data comes gathered already (the module's
 * read lanes do that), so that there is one message for many of the browser's reads.
 */
export class Reading {
  #credit = 0;
  #isRunning = false;

  constructor(
    private readonly session: CoreSession,
    private readonly stream: number,
    private readonly port: WorkerPort,
    private readonly buffers: Buffers,
    private readonly onEnd: () => void,
  ) {}

  /** The page has room for so many more bytes. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (!this.#isRunning) void this.#run();
  }

  stop(code: number): void {
    this.session.stop(this.stream, code);
    // One that waits for more comes to its own end.
    if (!this.#isRunning) this.onEnd();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#credit > 0) {
        if (this.#passAll()) return this.onEnd();
        if (this.#credit > 0) await this.session.readable(this.stream);
      }
    } catch (error) {
      this.port.postMessage({ type: 'readFailed', stream: this.stream, failure: failureOf(error) });
      this.onEnd();
    } finally {
      this.#isRunning = false;
    }
  }

  /** Passes on all that has arrived, in one message. Returns whether the stream ended with it. */
  #passAll(): boolean {
    const data: Uint8Array<ArrayBuffer>[] = [];
    let isFull = true;
    let isOver = false;
    while (isFull && this.#credit > 0) {
      const buffer = this.buffers.take();
      const room = Math.min(buffer.byteLength, this.#credit);
      const taken = this.session.take(this.stream, buffer.subarray(0, room));
      const part = this.buffers.seal(buffer, taken);
      if (part) data.push(part);
      this.#credit -= taken;
      isFull = taken === room;
      isOver = !isFull && this.session.isFinished(this.stream);
    }
    if (data.length > 0 || isOver) {
      const buffers = data.map(({ buffer }) => buffer);
      this.port.postMessage({ type: 'data', stream: this.stream, data, done: isOver }, buffers);
    }
    return isOver;
  }
}
