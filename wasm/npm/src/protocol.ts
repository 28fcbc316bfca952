/**
 * What a page and the worker of one of its sessions say to each other. They speak through the worker itself,
 * which takes less time than a message port of their own (Chromium 156).
 *
 * Each stream has a credit in each direction: bytes that may be on their way to a side that has not taken them yet.
 * So neither side's memory grows when the other does not keep up. Payloads are transferred, not copied; who has copied
 * one gives its buffer back with the credit (`buffers`), if it is of the size that all have.
 */

/** The longest message: on a fast link, as much as comes in the moment that data is gathered for. */
export const MESSAGE_BYTES = 512 * 1024;
/** Bytes of one stream that may wait on the page for its reader. */
export const READ_CREDIT = 4 * MESSAGE_BYTES;
/** Bytes of one stream that may wait in the worker for the session to take them. */
export const WRITE_CREDIT = 4 * MESSAGE_BYTES;
/** Datagrams that may wait in the worker for the session to take them. */
export const DATAGRAM_CREDIT = 100;

/** What the Rust side throws. */
export interface Failure {
  kind: 'session' | 'stream' | 'closed' | 'address' | 'option' | 'crash';
  message: string;
  code?: number;
}

/** One path, as `Kwik.paths` shows it. */
export interface KwikPath {
  /** Its number, which is never given to another path of the session. */
  id: number;
  state: 'opening' | 'active' | 'standby' | 'suspect' | 'closing' | 'closed';
  /** Where it leads. */
  url: string;
  /** Smoothed round-trip time in milliseconds; missing until it is measured. */
  rtt?: number;
  /** Expected rate, in bytes per second; 0 until it is known. */
  rate: number;
  bytesInFlight: number;
  bytesSent: number;
  bytesReceived: number;
  /** Of the bytes sent, those that were copies of bytes on other paths. */
  bytesReinjected: number;
}

export interface SessionEvent {
  type: 'pathadded' | 'pathsuspect' | 'pathlost' | 'pathrecovered' | 'pathadvised' | 'suspended' | 'resumed' | 'draining';
  path?: number;
  message?: string;
}

export interface Address {
  url: string;
  /** SHA-256 hashes of certificates, besides those in the URL. */
  pins: Uint8Array[];
}

/** Questions, which are answered once. */
export type Question =
  | { ask: 'open'; bidirectional: boolean }
  | { ask: 'accept'; bidirectional: boolean }
  | { ask: 'finish'; stream: number }
  | { ask: 'addPath'; address: Address }
  | { ask: 'removePath'; path: number }
  | { ask: 'stats' };

export type ToWorker =
  | { type: 'begin'; address: Address; others: Address[]; options: object }
  | { type: 'end' }
  | { type: 'question'; id: number; question: Question }
  | { type: 'write'; stream: number; data: Uint8Array<ArrayBuffer> }
  | { type: 'reset'; stream: number; code: number }
  | { type: 'read'; stream: number; bytes: number; buffers: ArrayBuffer[] }
  | { type: 'stop'; stream: number; code: number }
  | { type: 'datagram'; data: Uint8Array }
  | { type: 'networkChanged' }
  | { type: 'close'; code: number; reason: string };

export type ToPage =
  | { type: 'ready'; paths: KwikPath[]; maxDatagramSize: number }
  | { type: 'answer'; id: number; value?: unknown; failure?: Failure }
  | { type: 'data'; stream: number; data: Uint8Array<ArrayBuffer>[]; done: boolean }
  | { type: 'readFailed'; stream: number; failure: Failure }
  | { type: 'written'; stream: number; bytes: number; buffers: ArrayBuffer[] }
  | { type: 'writeFailed'; stream: number; failure: Failure }
  | { type: 'datagram'; data: Uint8Array }
  | { type: 'datagramTaken' }
  | { type: 'event'; event: SessionEvent; paths: KwikPath[]; maxDatagramSize: number }
  | { type: 'closed'; closeCode: number; reason: string }
  | { type: 'failed'; failure: Failure };

/** A message, and the session that it is of. */
export interface Envelope<Message> {
  session: number;
  message: Message;
}
