/** One stream of the file protocol: lines and bytes, in both directions. */

import { type Kwik, KwikError } from 'kwik-transport';
import { encodeRequest, expectReply, LineCutter, ProtocolError, type Reply, type Request } from '../logic/protocol.js';

/** The code of a stream whose sender or reader could not go on, or did not want to. */
const GAVE_UP = 1;

export class Exchange {
  /** What arrived together with a line, behind it. */
  #rest: Uint8Array<ArrayBuffer> | undefined;

  private constructor(
    private readonly reader: ReadableStreamDefaultReader<Uint8Array>,
    private readonly writer: WritableStreamDefaultWriter<BufferSource>,
  ) {}

  /** Opens a stream and asks for something. */
  static async begin(kwik: Kwik, request: Request): Promise<Exchange> {
    const { readable, writable } = await kwik.createBidirectionalStream();
    const exchange = new Exchange(readable.getReader(), writable.getWriter());
    await exchange.write(encodeRequest(request));
    return exchange;
  }

  /** Writes bytes, which are not to be used again; resolves when there is room for more. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.writer.write(bytes);
  }

  /** Nothing more will be written. */
  finish(): Promise<void> {
    return this.writer.close();
  }

  /** The server's next message, which has to be this one. */
  async reply<K extends keyof Reply>(key: K): Promise<NonNullable<Reply[K]>> {
    const cutter = new LineCutter();
    for (;;) {
      const chunk = await this.chunk(Infinity);
      if (!chunk) throw new ProtocolError('the stream ends too early');
      const found = cutter.push(chunk);
      if (!found) continue;
      // A copy: each piece that is handed out owns its memory, and can be given to another thread.
      this.#rest = found.rest.slice();
      return expectReply(found.line, key);
    }
  }

  /** The next bytes, at most `maxBytes`; `undefined` at the end of the stream. */
  async chunk(maxBytes: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const waiting = this.#rest;
    this.#rest = undefined;
    const chunk = waiting?.byteLength ? waiting : await this.#read();
    if (!chunk || chunk.byteLength <= maxBytes) return chunk;
    this.#rest = chunk.slice(maxBytes);
    return chunk.slice(0, maxBytes);
  }

  /** Wants no more of it, in either direction. */
  abandon(): void {
    const reason = new KwikError('given up', { streamErrorCode: GAVE_UP });
    this.reader.cancel(reason).catch(() => {});
    this.writer.abort(reason).catch(() => {});
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { value } = await this.reader.read();
    if (!value) return undefined;
    // One that is a part of something larger is copied out of it.
    return value.byteLength === value.buffer.byteLength ? (value as Uint8Array<ArrayBuffer>) : value.slice();
  }
}
