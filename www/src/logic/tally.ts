/** Which of the numbered things that were sent came back, and which did not. */

export class Tally {
  #waiting = new Map<number, number>();
  #next = 0;
  #returned = 0;
  #lost = 0;

  /** `patienceMs`: after this long a thing counts as lost, even if it comes back later. */
  constructor(private readonly patienceMs: number) {}

  get sent(): number {
    return this.#next;
  }
  get returned(): number {
    return this.#returned;
  }
  get lost(): number {
    return this.#lost;
  }

  /** The number of the next one, sent now. */
  send(atMs: number): number {
    const token = this.#next;
    this.#next += 1;
    this.#waiting.set(token, atMs);
    return token;
  }

  /** One came back: how long it took, in milliseconds; `undefined` if nobody waits for it. */
  receive(token: number, atMs: number): number | undefined {
    const sentMs = this.#waiting.get(token);
    if (sentMs === undefined) return undefined;
    this.#waiting.delete(token);
    this.#returned += 1;
    return atMs - sentMs;
  }

  /** Gives up what has been away for too long. */
  expire(atMs: number): void {
    for (const [token, sentMs] of this.#waiting) {
      // They are in the order in which they were sent.
      if (atMs - sentMs < this.patienceMs) return;
      this.#waiting.delete(token);
      this.#lost += 1;
    }
  }
}
