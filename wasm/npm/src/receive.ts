import { isReusable } from './buffers.js';
import { codeOf, errorOf } from './errors.js';
import { Deferred, type PortLike } from './port.js';
import { type Failure, READ_CREDIT } from './protocol.js';

/** A `ReadableByteStreamController`; its byte-stream part is missing in TypeScript's older libraries. */
type Controller = ReadableByteStreamController;

/**
 * The receiving half of a stream on the page: a byte stream, filled by the worker as far as the credit goes, which
 * comes back as the page's reader takes what there is.
 */
export class ReceiveHalf {
  readonly readable: ReadableStream<Uint8Array>;
  #inbox: Uint8Array<ArrayBuffer>[] = [];
  /** How much of the first piece a reader with a buffer of its own has had. */
  #had = 0;
  #controller!: Controller;
  #isDone = false;
  #arrival: Deferred<void> | undefined;
  /** What the reader has had and the worker has not been told of. */
  #freed = 0;
  #spare: ArrayBuffer[] = [];

  constructor(
    private readonly port: PortLike,
    private readonly stream: number,
    private readonly onEnd: () => void,
  ) {
    this.readable = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller;
      },
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => this.#cancel(reason),
    });
    this.#freed = READ_CREDIT;
    this.#grant();
  }

  /** The worker has read something. */
  data(data: Uint8Array<ArrayBuffer>[], done: boolean): void {
    this.#inbox.push(...data);
    if (done) this.#isDone = true;
    this.#arrival?.resolve();
  }

  fail(error: Error): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#inbox.length = 0;
    this.#controller.error(error);
    this.#arrival?.resolve();
    this.onEnd();
  }

  failed(failure: Failure): void {
    this.fail(errorOf(failure));
  }

  async #pull(controller: Controller): Promise<void> {
    if (this.#inbox.length === 0 && !this.#isDone) {
      this.#arrival = new Deferred();
      await this.#arrival.promise;
      this.#arrival = undefined;
    }
    const chunk = this.#inbox[0];
    if (!chunk) {
      this.#close(controller);
      return;
    }
    const request = controller.byobRequest;
    const view = request?.view;
    if (request && view) {
      const part = chunk.subarray(this.#had, this.#had + view.byteLength);
      const bytes = part.byteLength;
      new Uint8Array(view.buffer, view.byteOffset, bytes).set(part);
      this.#had += bytes;
      if (this.#had === chunk.byteLength) this.#took(chunk, isReusable(chunk.buffer) ? chunk.buffer : undefined);
      request.respond(bytes);
    } else {
      const rest = chunk.subarray(this.#had);
      this.#took(chunk, undefined);
      controller.enqueue(rest);
    }
  }

  /** The reader has all of the first piece. The worker is told when it has all of a message, or of much. */
  #took(chunk: Uint8Array, buffer: ArrayBuffer | undefined): void {
    this.#inbox.shift();
    this.#had = 0;
    this.#freed += chunk.byteLength;
    if (buffer) this.#spare.push(buffer);
    if (this.#inbox.length === 0 || this.#freed >= READ_CREDIT / 2) this.#grant();
  }

  #close(controller: Controller): void {
    // After an error or a cancellation there is nothing left to close.
    if (!this.#isDone) return;
    try {
      controller.close();
      // A reader that waits with a buffer of its own gets it back empty.
      controller.byobRequest?.respond(0);
    } catch {
      return;
    }
    this.onEnd();
  }

  #cancel(reason: unknown): void {
    if (!this.#isDone) this.port.postMessage({ type: 'stop', stream: this.stream, code: codeOf(reason) });
    this.#isDone = true;
    this.#inbox.length = 0;
    this.#arrival?.resolve();
    this.onEnd();
  }

  #grant(): void {
    if (this.#isDone) return;
    const [bytes, buffers] = [this.#freed, this.#spare];
    this.#freed = 0;
    this.#spare = [];
    this.port.postMessage({ type: 'read', stream: this.stream, bytes, buffers }, buffers);
  }
}
