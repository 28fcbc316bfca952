import { Deferred, type PortLike } from './port.js';
import { DATAGRAM_CREDIT } from './protocol.js';
import { bytesOf } from './send.js';

/** Datagrams that wait on the page for its reader, by default; the oldest are dropped. */
const DEFAULT_INCOMING = 100;

/** `Kwik.datagrams`: the W3C interface `WebTransportDatagramDuplexStream`. */
export class KwikDatagrams {
  readonly readable: ReadableStream<Uint8Array>;
  /** Milliseconds after which a datagram that nobody has read is dropped; `null`: never. */
  incomingMaxAge: number | null = null;
  /** Accepted for compatibility; a session drops the oldest when too many wait, whatever their age. */
  outgoingMaxAge: number | null = null;
  #incomingHighWaterMark = DEFAULT_INCOMING;
  #outgoingHighWaterMark = DATAGRAM_CREDIT;
  #maxDatagramSize = 0;
  #waiting: { data: Uint8Array; at: number }[] = [];
  #arrival: Deferred<void> | undefined;
  #underWay = 0;
  #room: Deferred<void> | undefined;
  #end: { error: Error | undefined } | undefined;
  #readableController!: ReadableStreamDefaultController<Uint8Array>;
  #writableControllers = new Set<WritableStreamDefaultController>();
  #writable: WritableStream<BufferSource> | undefined;

  /** @internal */
  constructor(private readonly port: PortLike) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#readableController = controller;
        },
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.#waiting.length = 0;
          this.#incomingHighWaterMark = 0;
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** The longest datagram that a path carries now, in bytes; it changes with the paths. */
  get maxDatagramSize(): number {
    return this.#maxDatagramSize;
  }

  /** What the interface had before `createWritable()`; one stream, made when it is first asked for. */
  get writable(): WritableStream<BufferSource> {
    return (this.#writable ??= this.createWritable());
  }

  createWritable(): WritableStream<BufferSource> {
    let own: WritableStreamDefaultController;
    const forget = () => void this.#writableControllers.delete(own);
    return new WritableStream<BufferSource>({
      start: (controller) => {
        own = controller;
        if (this.#end) controller.error(this.#end.error ?? ended());
        else this.#writableControllers.add(controller);
      },
      write: (chunk) => this.#write(chunk),
      close: forget,
      abort: forget,
    });
  }

  get incomingHighWaterMark(): number {
    return this.#incomingHighWaterMark;
  }
  set incomingHighWaterMark(most: number) {
    this.#incomingHighWaterMark = positive(most, 0);
  }
  get incomingMaxBufferedDatagrams(): number {
    return this.#incomingHighWaterMark;
  }
  set incomingMaxBufferedDatagrams(most: number) {
    this.#incomingHighWaterMark = positive(most, 0);
  }
  get outgoingHighWaterMark(): number {
    return this.#outgoingHighWaterMark;
  }
  set outgoingHighWaterMark(most: number) {
    this.#outgoingHighWaterMark = Math.min(positive(most, 1), DATAGRAM_CREDIT);
  }
  get outgoingMaxBufferedDatagrams(): number {
    return this.#outgoingHighWaterMark;
  }
  set outgoingMaxBufferedDatagrams(most: number) {
    this.outgoingHighWaterMark = most;
  }

  /** @internal */
  setMaxDatagramSize(bytes: number): void {
    this.#maxDatagramSize = bytes;
  }

  /** @internal */
  received(data: Uint8Array): void {
    this.#waiting.push({ data, at: performance.now() });
    while (this.#waiting.length > this.#incomingHighWaterMark) this.#waiting.shift();
    this.#arrival?.resolve();
  }

  /** @internal */
  taken(): void {
    this.#underWay -= 1;
    this.#room?.resolve();
  }

  /** @internal The session has ended, in good order or not. */
  end(error: Error | undefined): void {
    this.#end = { error };
    this.#arrival?.resolve();
    this.#room?.resolve();
    if (error) this.#readableController.error(error);
    for (const controller of this.#writableControllers) controller.error(error ?? ended());
    this.#writableControllers.clear();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next && (this.incomingMaxAge === null || performance.now() - next.at <= this.incomingMaxAge)) {
        controller.enqueue(next.data);
        return;
      }
      if (next) continue;
      if (this.#end) {
        if (!this.#end.error) controller.close();
        return;
      }
      this.#arrival = new Deferred();
      await this.#arrival.promise;
    }
  }

  async #write(chunk: BufferSource): Promise<void> {
    const data = bytesOf(chunk).slice();
    // One that no path carries is dropped (W3C WebTransport, writeDatagrams).
    if (data.byteLength > this.#maxDatagramSize && this.#maxDatagramSize > 0) return;
    while (this.#underWay >= this.#outgoingHighWaterMark && !this.#end) {
      this.#room = new Deferred();
      await this.#room.promise;
    }
    if (this.#end) throw this.#end.error ?? ended();
    this.#underWay += 1;
    this.port.postMessage({ type: 'datagram', data }, [data.buffer]);
  }
}

function ended(): Error {
  return new DOMException('the session is closed', 'InvalidStateError');
}

function positive(value: number, least: number): number {
  if (!(value >= 0)) throw new RangeError('a high-water mark is a number from 0 on');
  return Math.max(value, least);
}
