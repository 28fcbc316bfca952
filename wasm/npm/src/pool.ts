import type { Executor, Lease, SessionClient } from './executor.js';
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

/** The state of the pool at one moment. */
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

/** A running worker and the clients of its sessions. */
class Slot {
  readonly sessions = new Map<number, SessionClient>();
  constructor(readonly worker: WorkerLike) {
    worker.onmessage = ({ data: { session, message } }) => this.sessions.get(session)?.onMessage(message);
  }
}

/**
 * A fixed number of workers, shared by all sessions of a page. A worker starts with its first session; a new session goes
 * to the worker with the fewest. All workers end with the last session of the page. A crash ends the sessions of that
 * worker, whose clients are told; the next session gets a new worker in its stead.
 */
export class WorkerPool implements Executor {
  #slots: Slot[] = [];
  #size = 0;
  #started = 0;
  #crashed = 0;
  #lastSession = 0;

  constructor(private readonly startWorker: () => WorkerLike) {}

  /** Gives a session to a worker. `size` counts only while the pool is empty. */
  open(client: SessionClient, size: number | undefined): Lease {
    if (this.#slots.length === 0) this.#size = sizeFrom(size);
    const slot = this.#slotForNext();
    const session = ++this.#lastSession;
    slot.sessions.set(session, client);
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
    const clients = [...slot.sessions.values()];
    slot.sessions.clear();
    for (const client of clients) client.onCrash(`the worker of this session crashed: ${why}`);
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
