import type { Lease, Place, Tenant } from './place.js';
import type { Envelope, ToPage, ToWorker } from './protocol.js';

/** More than the browser's one network process can feed; see docs/ARCHITECTURE.md. */
const MAX_DEFAULT_WORKERS = 4;

/** The part of a `Worker` that is used here; tests have one of their own. */
export interface WorkerLike {
  postMessage(message: Envelope<ToWorker>, transfer: Transferable[]): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<Envelope<ToPage>>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
}

/** What the pool looks like at the moment. */
export interface WorkerPoolStats {
  /** How many workers there may be. */
  size: number;
  /** How many are running. */
  workers: number;
  /** Sessions of each of those. */
  sessions: number[];
  /** Workers started since the page was loaded. */
  started: number;
  /** Workers that crashed and were given up. */
  crashed: number;
}

class Slot {
  readonly sessions = new Map<number, Tenant>();
  constructor(readonly worker: WorkerLike) {
    worker.onmessage = ({ data: { session, message } }) => this.sessions.get(session)?.onMessage(message);
  }
}

/**
 * A fixed number of workers, shared by all sessions of a page. A worker starts with its first session; the new session
 * goes to the worker with the fewest. With the last session of the page all of them end. One that crashes takes its
 * sessions along, which are told, and leaves its place to a new one.
 */
export class WorkerPool implements Place {
  #slots: Slot[] = [];
  #size = 0;
  #started = 0;
  #crashed = 0;
  #lastSession = 0;

  constructor(private readonly startWorker: () => WorkerLike) {}

  /** Gives a session to a worker. `size` counts only while the pool is empty. */
  open(tenant: Tenant, size: number | undefined): Lease {
    if (this.#slots.length === 0) this.#size = sizeFrom(size);
    const slot = this.#slotForNext();
    const session = ++this.#lastSession;
    slot.sessions.set(session, tenant);
    const postMessage = (message: ToWorker, transfer: Transferable[] = []) =>
      slot.worker.postMessage({ session, message }, transfer);
    return {
      postMessage,
      release: () => {
        if (!slot.sessions.delete(session)) return;
        postMessage({ type: 'end' });
        this.#closeIfUnused();
      },
    };
  }

  stats(): WorkerPoolStats {
    return {
      size: this.#size || sizeFrom(undefined),
      workers: this.#slots.length,
      sessions: this.#slots.map((slot) => slot.sessions.size),
      started: this.#started,
      crashed: this.#crashed,
    };
  }

  #slotForNext(): Slot {
    const least = this.#slots.reduce<Slot | undefined>(
      (best, slot) => (best && best.sessions.size <= slot.sessions.size ? best : slot),
      undefined,
    );
    if (least && (least.sessions.size === 0 || this.#slots.length >= this.#size)) return least;
    const slot = new Slot(this.startWorker());
    slot.worker.onerror = (event) => {
      event.preventDefault();
      this.#crash(slot, event.message || 'its script could not be loaded');
    };
    slot.worker.onmessageerror = () => this.#crash(slot, 'a message could not be read');
    this.#slots.push(slot);
    this.#started += 1;
    return slot;
  }

  #crash(slot: Slot, why: string): void {
    if (!this.#slots.includes(slot)) return;
    this.#slots = this.#slots.filter((other) => other !== slot);
    this.#crashed += 1;
    slot.worker.terminate();
    const tenants = [...slot.sessions.values()];
    slot.sessions.clear();
    for (const tenant of tenants) tenant.onCrash(`the worker of this session crashed: ${why}`);
  }

  #closeIfUnused(): void {
    if (this.#slots.some((slot) => slot.sessions.size > 0)) return;
    for (const slot of this.#slots) slot.worker.terminate();
    this.#slots = [];
  }
}

function sizeFrom(wanted: number | undefined): number {
  if (wanted === undefined) {
    return Math.max(1, Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MAX_DEFAULT_WORKERS));
  }
  if (!Number.isInteger(wanted) || wanted < 1) throw new RangeError('workers: a whole number from 1 on');
  return wanted;
}
