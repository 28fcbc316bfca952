/** How long bulk data may wait for more to go along. */
export const GATHER_MS = 4;
/** After so many bytes, more of them are likely to come. */
export const BULK_BYTES = 16 * 1024;

/**
 * The timing of messages that are not full. After a short message the next one goes at once, so that requests and answers
 * do not wait; after a long one it goes a moment later, since more of the same is on its way and each message costs both
 * threads.
 */
export class Batcher {
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `flush` is called when what was held back should go. */
  constructor(private readonly flush: () => void) {}

  /** A message has gone. */
  sent(bytes: number): void {
    clearTimeout(this.#timer);
    this.#timer = bytes >= BULK_BYTES ? setTimeout(() => this.#expired(), GATHER_MS) : undefined;
  }

  /** Whether data that does not fill a message should wait. */
  holds(): boolean {
    return this.#timer !== undefined;
  }

  #expired(): void {
    this.#timer = undefined;
    this.flush();
  }
}
