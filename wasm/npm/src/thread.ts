import { isCrash } from './failure.js';
import { Host, type Start } from './host.js';
import type { Lease, Place, Tenant } from './place.js';
import type { Envelope, ToPage, ToWorker } from './protocol.js';

/**
 * The thread that makes the sessions, as their place: no message goes to another thread, and no payload is handed over.
 * Each side still hears of the other in a turn of its own, in order, as it does from a worker.
 */
export class ThisThread implements Place {
  #host: Host | undefined;
  #tenants = new Map<number, Tenant>();
  #last = 0;
  #crashed: string | undefined;

  /** `load` is called for the first session; if it fails, for the next one again. */
  constructor(private readonly load: () => Promise<Start>) {}

  open(tenant: Tenant): Lease {
    const session = ++this.#last;
    const host = (this.#host ??= this.#begin());
    this.#tenants.set(session, tenant);
    const why = this.#crashed;
    if (why !== undefined) queueMicrotask(() => this.#crash(why));
    const postMessage = (message: ToWorker) => queueMicrotask(() => host.on({ session, message }));
    return {
      postMessage,
      release: () => {
        if (this.#tenants.delete(session)) postMessage({ type: 'end' });
      },
    };
  }

  #begin(): Host {
    const postMessage = ({ session, message }: Envelope<ToPage>) =>
      queueMicrotask(() => this.#tenants.get(session)?.onMessage(message));
    const loaded = this.load();
    loaded.then(
      () => this.#watch(),
      () => (this.#host = undefined),
    );
    return new Host({ postMessage }, loaded);
  }

  /** Learns of what is a worker's crash to the pool. The module is one for the thread: it does not come back. */
  #watch(): void {
    globalThis.addEventListener('error', (event) => {
      if (!isCrash(event.error)) return;
      event.preventDefault();
      this.#crash(event.message);
    });
  }

  #crash(why: string): void {
    this.#crashed = why;
    const tenants = [...this.#tenants.values()];
    this.#tenants.clear();
    for (const tenant of tenants) tenant.onCrash(`KWIK crashed in this thread: ${why}`);
  }
}
