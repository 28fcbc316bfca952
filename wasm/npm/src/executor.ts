/** The contract between a session on a page and what runs its other half: a pool of workers, or the page's own thread. */

import type { PortLike } from './port.js';
import type { ToPage } from './protocol.js';

/** Runs the half of each session that speaks to the network. */
export interface Executor {
  /** Starts a session for `client`. `workers` is what its options say. */
  open(client: SessionClient, workers: number | undefined): Lease;
}

/** The page's half of a session: receives what the executor sends. */
export interface SessionClient {
  onMessage(message: ToPage): void;
  /** The thread of the other half has crashed; there will be no more messages. */
  onCrash(why: string): void;
}

/** A session's hold on its executor, and the way to send messages to the other half. */
export interface Lease extends PortLike {
  /** To be called once the session needs its executor no more. */
  release(): void;
}
