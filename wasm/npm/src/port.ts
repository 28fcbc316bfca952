import { errorOf } from './errors.js';
import type { Failure, Question, ToWorker } from './protocol.js';

/** The way from the page to the worker's half of a session. */
export interface PortLike {
  postMessage(message: ToWorker, transfer?: Transferable[]): void;
}

/** A promise and what settles it. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Without a handler, a rejection would be reported as an error of the page; handlers added later still see it.
    this.promise.catch(() => {});
  }
}

/** Questions to the worker and their answers. */
export class Questions {
  #last = 0;
  #waiting = new Map<number, Deferred<unknown>>();
  #end: Error | undefined;

  constructor(private readonly port: PortLike) {}

  ask<T>(question: Question): Promise<T> {
    if (this.#end) return Promise.reject(this.#end);
    const id = ++this.#last;
    const answer = new Deferred<unknown>();
    this.#waiting.set(id, answer);
    this.port.postMessage({ type: 'question', id, question });
    return answer.promise as Promise<T>;
  }

  answer(id: number, value: unknown, failure: Failure | undefined): void {
    const answer = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failure) answer?.reject(errorOf(failure));
    else answer?.resolve(value);
  }

  /** There will be no more answers. */
  end(error: Error): void {
    this.#end = error;
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }
}
