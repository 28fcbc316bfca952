import { codeOf, errorOf } from './errors.js';
import { Deferred, type PortLike, type Questions } from './port.js';
import { type Failure, WRITE_CREDIT } from './protocol.js';

/** One message to the worker carries at most this much, so that a large write does not go beyond the credit. */
const MAX_MESSAGE_BYTES = WRITE_CREDIT / 2;

/**
 * The sending half of a stream on the page. A write is done when the worker has room for the next one: that is the
 * back-pressure which `ready` and `desiredSize` show.
 */
export class SendHalf {
  readonly writable: WritableStream<BufferSource>;
  #controller!: WritableStreamDefaultController;
  #underWay = 0;
  #room: Deferred<void> | undefined;
  #error: Error | undefined;

  constructor(
    private readonly port: PortLike,
    private readonly questions: Questions,
    private readonly stream: number,
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
    for (let at = 0; at < bytes.byteLength; at += MAX_MESSAGE_BYTES) {
      await this.#hasRoom();
      // Copied, since the caller may use its buffer again, and then transferred.
      const data = bytes.slice(at, at + MAX_MESSAGE_BYTES);
      this.#underWay += data.byteLength;
      this.port.postMessage({ type: 'write', stream: this.stream, data }, [data.buffer as ArrayBuffer]);
    }
    await this.#hasRoom();
  }

  async #hasRoom(): Promise<void> {
    while (this.#underWay > WRITE_CREDIT - MAX_MESSAGE_BYTES && !this.#error) {
      this.#room = new Deferred();
      await this.#room.promise;
    }
    if (this.#error) throw this.#error;
  }

  async #close(): Promise<void> {
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
