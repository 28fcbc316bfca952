import { Batcher } from './batcher.js';
import { Buffers } from './buffers.js';
import { codeOf, errorOf } from './errors.js';
import { Deferred, type PortLike, type Questions } from './port.js';
import { type Failure, MESSAGE_BYTES, WRITE_CREDIT } from './protocol.js';

/**
 * The sending half of a stream on the page. A write is done when the worker has room for the next one: that is the
 * back-pressure which `ready` and `desiredSize` show. Bulk data is gathered (see `Batcher`), and so is what is written
 * while the worker has something to do: it goes when there is a message full of it, or when the worker has taken
 * everything before it.
 */
export class SendHalf {
  readonly writable: WritableStream<BufferSource>;
  #controller!: WritableStreamDefaultController;
  #underWay = 0;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #batcher = new Batcher(() => this.#flushIfWanted());
  #room: Deferred<void> | undefined;
  #error: Error | undefined;

  constructor(
    private readonly port: PortLike,
    private readonly questions: Questions,
    private readonly stream: number,
    private readonly buffers: Buffers,
    private readonly onEnd: () => void,
  ) {
    this.writable = new WritableStream({
      start: (controller) => {
        this.#controller = controller;
        // An abort must not wait for a write that the other end holds back.
        controller.signal.addEventListener('abort', () => this.#abort(controller.signal.reason));
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
    });
  }

  /** The session has taken this much. */
  written(bytes: number): void {
    this.#underWay -= bytes;
    this.#flushIfWanted();
    this.#room?.resolve();
  }

  fail(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    this.#controller.error(error);
    this.#room?.resolve();
    this.onEnd();
  }

  failed(failure: Failure): void {
    this.fail(errorOf(failure));
  }

  async #write(chunk: BufferSource): Promise<void> {
    const bytes = bytesOf(chunk);
    for (let at = 0; at < bytes.byteLength; ) {
      if (!this.#hasRoom()) await this.#waitForRoom();
      at += this.#gather(bytes.subarray(at));
    }
    if (!this.#hasRoom()) await this.#waitForRoom();
  }

  /** Takes as many bytes as a message has room for. They are copied, since the caller may use its buffer again. */
  #gather(bytes: Uint8Array): number {
    const buffer = (this.#buffer ??= this.buffers.take());
    const part = bytes.subarray(0, buffer.byteLength - this.#filled);
    buffer.set(part, this.#filled);
    this.#filled += part.byteLength;
    this.#flushIfWanted();
    return part.byteLength;
  }

  /** Sends the gathered bytes, unless it is better to wait for more. */
  #flushIfWanted(): void {
    const isFull = this.#filled === this.#buffer?.byteLength;
    if (isFull || (this.#filled > 0 && this.#underWay === 0 && !this.#batcher.holds())) this.#flush();
  }

  #flush(): void {
    if (!this.#buffer || this.#error) return;
    const data = this.buffers.seal(this.#buffer, this.#filled);
    this.#buffer = undefined;
    this.#filled = 0;
    if (!data) return;
    this.#underWay += data.byteLength;
    this.#batcher.sent(data.byteLength);
    this.port.postMessage({ type: 'write', stream: this.stream, data }, [data.buffer]);
  }

  #hasRoom(): boolean {
    return this.#underWay + this.#filled <= WRITE_CREDIT - MESSAGE_BYTES && !this.#error;
  }

  async #waitForRoom(): Promise<void> {
    while (!this.#error && !this.#hasRoom()) {
      this.#room = new Deferred();
      await this.#room.promise;
    }
    if (this.#error) throw this.#error;
  }

  async #close(): Promise<void> {
    this.#flush();
    await this.questions.ask({ ask: 'finish', stream: this.stream });
    this.#error ??= new DOMException('the stream is closed', 'InvalidStateError');
    this.onEnd();
  }

  #abort(reason: unknown): void {
    if (this.#error) return;
    this.#error = reason instanceof Error ? reason : new DOMException('the stream was aborted', 'AbortError');
    this.port.postMessage({ type: 'reset', stream: this.stream, code: codeOf(reason) });
    this.#room?.resolve();
    this.onEnd();
  }
}

/** The bytes of whatever the W3C interface takes. */
export function bytesOf(chunk: BufferSource): Uint8Array {
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError('a stream takes ArrayBuffers and views of them');
}
