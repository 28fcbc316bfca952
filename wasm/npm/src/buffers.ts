import { MESSAGE_BYTES } from './protocol.js';

/** Enough for a fast stream, whose messages are under way for less than the time between them. */
const MAX_SPARE = 4;
/** What is shorter is copied once more, instead of a whole buffer being given away for it. */
const SMALL_BYTES = 16 * 1024;

/**
 * Buffers for messages, used again and again: the side that gets one gives it back when it has copied what is in it. A
 * new one for each message would cost the time to clear it, and garbage collection.
 */
export class Buffers {
  #spare: ArrayBuffer[] = [];

  take(): Uint8Array<ArrayBuffer> {
    const spare = this.#spare.pop();
    return spare ? new Uint8Array(spare) : new Uint8Array(MESSAGE_BYTES);
  }

  /** Takes some back; what did not come from here is left to the garbage collection. */
  give(...buffers: ArrayBuffer[]): void {
    this.#spare.push(...buffers.filter(isReusable).slice(0, MAX_SPARE - this.#spare.length));
  }

  /** The first `bytes` of `buffer` as a message, if there are any; the buffer is not the caller's any more. */
  seal(buffer: Uint8Array<ArrayBuffer>, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    if (bytes > SMALL_BYTES) return buffer.subarray(0, bytes);
    this.give(buffer.buffer);
    return bytes > 0 ? buffer.slice(0, bytes) : undefined;
  }
}

/** Whether the other side can use it again. */
export function isReusable(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer.byteLength === MESSAGE_BYTES;
}
