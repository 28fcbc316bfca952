import type { Executor, Lease, SessionClient } from './executor.js';
import { isCrash } from './failure.js';
import { Host, type Start } from './host.js';
import type { Envelope, ToPage, ToWorker } from './protocol.js';

/**
 * An executor in the thread that makes the sessions: no message goes to another thread, and no payload is transferred.
 * Messages still arrive in microtasks of their own, in order, so that both halves see what they would see with a worker.
 */
export class ThisThread implements Executor {
  #host: Host | undefined;
  #clients = new Map<number, SessionClient>();
  #last = 0;
  #crashed: string | undefined;

  /** `load` is called for the first session; if it fails, for the next one again. */
  constructor(private readonly load: () => Promise<Start>) {}

  open(client: SessionClient): Lease {
    const session = ++this.#last;
    const host = (this.#host ??= this.#begin());
    this.#clients.set(session, client);
    const why = this.#crashed;
    if (why !== undefined) queueMicrotask(() => this.#crash(why));
    const postMessage = (message: ToWorker) => queueMicrotask(() => host.on({ session, message }));
    return {
      postMessage,
      release: () => {
        if (this.#clients.delete(session)) postMessage({ type: 'end' });
      },
    };
  }

  #begin(): Host {
    const postMessage = ({ session, message }: Envelope<ToPage>) =>
      queueMicrotask(() => this.#clients.get(session)?.onMessage(message));
    const loaded = this.load();
    loaded.then(
      () => this.#watch(),
      () => (this.#host = undefined),
    );
    return new Host({ postMessage }, loaded);
  }

  /** Notices what would be a worker's crash. The thread has one instance of the module, which cannot be used again. */
  #watch(): void {
    globalThis.addEventListener('error', (event) => {
      if (!isCrash(event.error)) return;
      event.preventDefault();
      this.#crash(event.message);
    });
  }

  #crash(why: string): void {
    this.#crashed = why;
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    for (const client of clients) client.onCrash(`KWIK crashed in this thread: ${why}`);
  }
}
