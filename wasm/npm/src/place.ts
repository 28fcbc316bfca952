import type { PortLike } from './port.js';
import type { ToPage } from './protocol.js';

/** Where sessions run. */
export interface Place {
  /** Takes a session in. `workers` is what its options say. */
  open(tenant: Tenant, workers: number | undefined): Lease;
}

/** A session, as its place knows it. */
export interface Tenant {
  onMessage(message: ToPage): void;
  /** What ran it is gone, and nothing more comes. */
  onCrash(why: string): void;
}

/** A session's right to its place. */
export interface Lease extends PortLike {
  /** To be called once the session needs its place no more. */
  release(): void;
}
