import { crash } from './failure.js';
import type { Address, Envelope, ToPage, ToWorker } from './protocol.js';
import { type CoreSession, WorkerSession } from './workerSession.js';

/** The part of a worker's global scope that is used here; tests have one of their own. */
export interface WorkerScope {
  postMessage(message: Envelope<ToPage>, transfer: Transferable[]): void;
}

/** Begins to open a session. */
export type Start = (address: Address, options: object) => CoreSession;

/** A session, and the messages that came for it before it could be made. */
interface Guest {
  session: WorkerSession | undefined;
  early: ToWorker[];
}

/** The sessions of one worker (or of a page's own thread), and the dispatch of messages to them. */
export class Host {
  #guests = new Map<number, Guest>();

  /** `loaded` resolves once sessions can be made. */
  constructor(
    private readonly scope: WorkerScope,
    private readonly loaded: Promise<Start>,
  ) {}

  on({ session, message }: Envelope<ToWorker>): void {
    const guest = this.#guests.get(session);
    if (message.type === 'begin') this.#begin(session, message).catch(crash);
    else if (message.type === 'end') this.#guests.delete(session);
    else if (guest?.session) guest.session.on(message);
    else guest?.early.push(message);
  }

  async #begin(
    session: number,
    { address, others, options }: Extract<ToWorker, { type: 'begin' }>,
  ): Promise<void> {
    const guest: Guest = { session: undefined, early: [] };
    this.#guests.set(session, guest);
    const port = {
      postMessage: (message: ToPage, transfer: Transferable[] = []) =>
        this.scope.postMessage({ session, message }, transfer),
    };
    try {
      const start = await this.loaded;
      guest.session = new WorkerSession(port, [address, ...others], (address) => start(address, options));
    } catch (error) {
      const message = `the module could not be loaded: ${String(error)}`;
      port.postMessage({ type: 'failed', failure: { kind: 'crash', message } });
      return;
    }
    for (const message of guest.early.splice(0)) guest.session.on(message);
  }
}
