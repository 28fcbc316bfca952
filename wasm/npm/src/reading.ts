import type { Buffers } from './buffers.js';
import { failureOf } from './failure.js';
import { BULK_BYTES, GATHER_MS } from './pace.js';
import type { CoreSession, WorkerPort } from './served.js';

/**
 * The receiving half of a stream in the worker: hands what arrives on to the page, as far as the page's credit goes.
 *
 * A message costs the two threads as much as copying some hundred KB, and a browser delivers some 30 KB at once. So when
 * there was much, the session gathers what comes next for a moment, without anybody being woken for each piece.
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
    let isBulk = false;
    try {
      while (this.#credit > 0) {
        const buffer = this.buffers.take();
        const room = Math.min(buffer.byteLength, this.#credit);
        const taken = this.session.take(this.stream, buffer.subarray(0, room));
        const isOver = taken < room && this.session.isFinished(this.stream);
        this.#pass(buffer, taken, isOver);
        if (isOver) return this.onEnd();
        isBulk ||= taken >= BULK_BYTES;
        // There may be more than fitted: that has waited already.
        if (taken === room) continue;
        if (isBulk) await gather();
        else await this.session.readable(this.stream);
        isBulk = false;
      }
    } catch (error) {
      this.port.postMessage({ type: 'readFailed', stream: this.stream, failure: failureOf(error) });
      this.onEnd();
    } finally {
      this.#isRunning = false;
    }
  }

  #pass(buffer: Uint8Array<ArrayBuffer>, bytes: number, done: boolean): void {
    this.#credit -= bytes;
    const data = this.buffers.seal(buffer, bytes);
    if (data || done) {
      this.port.postMessage({ type: 'data', stream: this.stream, data, done }, data ? [data.buffer] : []);
    }
  }
}

function gather(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, GATHER_MS));
}
