import { Buffers, isReusable } from './buffers.js';
import { crash, failureOf } from './failure.js';
import {
  type Address,
  type Failure,
  type Question,
  type SessionEvent,
  type ToPage,
  type ToWorker,
  WRITE_CREDIT,
} from './protocol.js';
import { Reading } from './reading.js';

/** The Rust side of a session: the class `Session` of the module; tests have one of their own. */
export interface CoreSession {
  opened(): Promise<void>;
  closed(): Promise<unknown>;
  open(bidirectional: boolean): Promise<number>;
  accept(bidirectional: boolean): Promise<number | undefined>;
  /** Moves what has arrived into `buffer`, as much as fits; returns how many bytes that is. */
  take(stream: number, buffer: Uint8Array): number;
  /** Whether all of a stream has been taken. */
  isFinished(stream: number): boolean;
  /** Resolves when a `take` does not come back with nothing; it may fail or find the end. */
  readable(stream: number): Promise<void>;
  write(stream: number, data: Uint8Array): Promise<void>;
  finish(stream: number): void;
  delivered(stream: number): Promise<void>;
  reset(stream: number, code: number): void;
  stop(stream: number, code: number): void;
  releaseSend(stream: number): void;
  releaseRecv(stream: number): void;
  sendDatagram(data: Uint8Array): Promise<void>;
  recvDatagram(): Promise<Uint8Array | undefined>;
  maxDatagramSize(): number;
  addPath(url: string, pins: Uint8Array[]): Promise<number>;
  removePath(path: number): void;
  paths(): unknown[];
  stats(): object;
  networkChanged(): void;
  close(code: number, reason: string): void;
  events(): { next(): Promise<unknown> };
}

/** The way from the worker to the page's half of the session. */
export interface WorkerPort {
  postMessage(message: ToPage, transfer?: Transferable[]): void;
}

/** The sending half of a stream in the worker. */
interface Writing {
  /** The last of the writes that were begun: each waits for the one before it. */
  last: Promise<void>;
  /** The remaining writes are to be dropped. */
  isOver: boolean;
  /** Settles when the server has all of the stream, or never will. */
  delivered: Promise<void>;
  /** How many writes are still to be done. */
  pending: number;
  /** What the session has taken and the page has not been told of. */
  taken: number;
  spare: ArrayBuffer[];
}

/** The worker's half of a session: carries out the page's messages, and reports events and data. */
export class WorkerSession {
  #reading = new Map<number, Reading>();
  #writing = new Map<number, Writing>();
  #buffers = new Buffers();
  #ready: Promise<CoreSession>;
  #session: CoreSession | undefined;
  #isClosed = false;
  #lastDatagram: Promise<void> = Promise.resolve();

  /** `start` begins to open a session with a server; the first of `addresses` that answers is taken. */
  constructor(
    private readonly port: WorkerPort,
    addresses: Address[],
    start: (address: Address) => CoreSession,
  ) {
    this.#ready = this.#open(addresses, start);
    this.#ready.catch(() => {});
  }

  async #open(addresses: Address[], start: (address: Address) => CoreSession): Promise<CoreSession> {
    let failure: unknown;
    for (const address of addresses) {
      try {
        const session = start(address);
        this.#session = session;
        await session.opened();
        this.#run(session, addresses.filter((other) => other !== address));
        return session;
      } catch (error) {
        failure = failureOf(error);
        if (this.#isClosed) break;
      }
    }
    this.port.postMessage({ type: 'failed', failure: failure as Failure });
    throw failure;
  }

  #run(session: CoreSession, others: Address[]): void {
    this.port.postMessage({ type: 'ready', ...snapshot(session) });
    void this.#passEvents(session);
    void this.#passDatagrams(session);
    void this.#passEnd(session);
    // A path that cannot be opened is among the events.
    for (const { url, pins } of others) session.addPath(url, pins).catch(failureOf);
  }

  async #passEvents(session: CoreSession): Promise<void> {
    const events = session.events();
    for (;;) {
      const event = (await events.next()) as SessionEvent | undefined;
      if (!event) return;
      this.port.postMessage({ type: 'event', event, ...snapshot(session) });
    }
  }

  async #passDatagrams(session: CoreSession): Promise<void> {
    for (;;) {
      const data = await session.recvDatagram();
      if (!data) return;
      this.port.postMessage({ type: 'datagram', data }, [data.buffer as ArrayBuffer]);
    }
  }

  async #passEnd(session: CoreSession): Promise<void> {
    try {
      const end = (await session.closed()) as { closeCode: number; reason: string };
      this.port.postMessage({ type: 'closed', ...end });
    } catch (error) {
      this.port.postMessage({ type: 'failed', failure: failureOf(error) });
    }
  }

  /** Carries out a message of the page. */
  on(message: ToWorker): void {
    const session = this.#session;
    switch (message.type) {
      case 'question':
        void this.#answer(message.id, message.question);
        break;
      case 'close':
        this.#isClosed = true;
        session?.close(message.code, message.reason);
        break;
      case 'networkChanged':
        session?.networkChanged();
        break;
      case 'datagram':
        if (session) this.#sendDatagram(session, message.data);
        break;
      case 'write':
        if (session) this.#write(session, message.stream, message.data);
        break;
      case 'reset':
        if (session) this.#reset(session, message.stream, message.code);
        break;
      case 'read':
        this.#buffers.give(...message.buffers);
        this.#reading.get(message.stream)?.grant(message.bytes);
        break;
      case 'stop':
        this.#reading.get(message.stream)?.stop(message.code);
        break;
    }
  }

  #sendDatagram(session: CoreSession, data: Uint8Array): void {
    this.#lastDatagram = this.#lastDatagram
      .then(() => session.sendDatagram(data))
      .then(() => this.port.postMessage({ type: 'datagramTaken' }), crash);
  }

  async #answer(id: number, question: Question): Promise<void> {
    try {
      const value = await this.#ask(await this.#ready, question);
      this.port.postMessage({ type: 'answer', id, value });
    } catch (error) {
      this.port.postMessage({ type: 'answer', id, failure: failureOf(error) });
    }
  }

  async #ask(session: CoreSession, question: Question): Promise<unknown> {
    switch (question.ask) {
      case 'open':
        return this.#begin(session, await session.open(question.bidirectional), question.bidirectional, true);
      case 'accept':
        return this.#begin(session, await session.accept(question.bidirectional), true, question.bidirectional);
      case 'finish':
        return this.#finish(session, question.stream);
      case 'addPath':
        return session.addPath(question.address.url, question.address.pins);
      case 'removePath':
        return session.removePath(question.path);
      case 'stats':
        return { ...session.stats(), paths: session.paths() };
    }
  }

  /** Registers a new stream. Messages about a half that has ended are ignored: they crossed the report of its end. */
  #begin(
    session: CoreSession,
    stream: number | undefined,
    hasReceiving: boolean,
    hasSending: boolean,
  ): number | undefined {
    if (stream === undefined) return undefined;
    if (hasReceiving) this.#reading.set(stream, this.#readingOf(session, stream));
    if (hasSending) {
      const delivered = session.delivered(stream);
      const last = Promise.resolve();
      this.#writing.set(stream, { last, isOver: false, delivered, pending: 0, taken: 0, spare: [] });
      delivered.then(
        () => this.#writeEnded(session, stream),
        (error: unknown) => this.#writeFailed(session, stream, failureOf(error)),
      );
    }
    return stream;
  }

  #readingOf(session: CoreSession, stream: number): Reading {
    return new Reading(session, stream, this.port, this.#buffers, () => {
      this.#reading.delete(stream);
      session.releaseRecv(stream);
    });
  }

  // ---- the sending half of a stream ----

  #write(session: CoreSession, stream: number, data: Uint8Array<ArrayBuffer>): void {
    const writing = this.#writing.get(stream);
    if (!writing) return;
    writing.pending += 1;
    writing.last = writing.last.then(async () => {
      if (writing.isOver) return;
      try {
        await session.write(stream, data);
        this.#written(stream, writing, data);
      } catch (error) {
        this.#stopWriting(stream, failureOf(error));
      }
    });
  }

  /** Tells the page when nothing is left to be done, or when half of its credit has come together. */
  #written(stream: number, writing: Writing, { buffer, byteLength }: Uint8Array<ArrayBuffer>): void {
    writing.pending -= 1;
    writing.taken += byteLength;
    if (isReusable(buffer)) writing.spare.push(buffer);
    if (writing.pending > 0 && writing.taken < WRITE_CREDIT / 2) return;
    const { taken: bytes, spare: buffers } = writing;
    writing.taken = 0;
    writing.spare = [];
    this.port.postMessage({ type: 'written', stream, bytes, buffers }, buffers);
  }

  async #finish(session: CoreSession, stream: number): Promise<void> {
    const writing = this.#writing.get(stream);
    await writing?.last;
    if (!writing || writing.isOver) return;
    session.finish(stream);
    await writing.delivered;
  }

  #reset(session: CoreSession, stream: number, code: number): void {
    const writing = this.#writing.get(stream);
    if (!writing || writing.isOver) return;
    writing.isOver = true;
    session.reset(stream, code);
  }

  /** The server may stop a stream also while no write is under way. */
  #writeFailed(session: CoreSession, stream: number, failure: Failure): void {
    this.#stopWriting(stream, failure);
    this.#writeEnded(session, stream);
  }

  #stopWriting(stream: number, failure: Failure): void {
    const writing = this.#writing.get(stream);
    if (!writing || writing.isOver) return;
    writing.isOver = true;
    this.port.postMessage({ type: 'writeFailed', stream, failure });
  }

  #writeEnded(session: CoreSession, stream: number): void {
    this.#writing.delete(stream);
    session.releaseSend(stream);
  }
}

function snapshot(session: CoreSession): { paths: never[]; maxDatagramSize: number } {
  return { paths: session.paths() as never[], maxDatagramSize: session.maxDatagramSize() };
}
