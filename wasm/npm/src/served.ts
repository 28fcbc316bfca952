import type { Address, Failure, Question, SessionEvent, ToPage, ToWorker } from './protocol.js';

/** What the Rust side offers: the class `Session` of the module; tests have one of their own. */
export interface CoreSession {
  opened(): Promise<void>;
  closed(): Promise<unknown>;
  open(bidirectional: boolean): Promise<number>;
  accept(bidirectional: boolean): Promise<number | undefined>;
  read(stream: number, maxBytes: number): Promise<unknown>;
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
  hurry(): void;
  close(code: number, reason: string): void;
  events(): { next(): Promise<unknown> };
}

export interface WorkerPort {
  postMessage(message: ToPage, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
}

/** One message to the page carries at most this much: enough for messages to cost little, and a fifth of a credit. */
const MAX_READ_BYTES = 128 * 1024;

interface Reading {
  credit: number;
  isRunning: boolean;
}

interface Writing {
  /** The last of the writes that were begun: they go one after the other. */
  last: Promise<void>;
  /** The rest of them is not to be written. */
  isOver: boolean;
  /** Settles when the server has all of the stream, or never will. */
  delivered: Promise<void>;
}

/** A session in its worker: does what the page says, and tells what happens. */
export class ServedSession {
  #reading = new Map<number, Reading>();
  #writing = new Map<number, Writing>();
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
    port.onmessage = ({ data }) => this.#on(data);
  }

  async #open(addresses: Address[], start: (address: Address) => CoreSession): Promise<CoreSession> {
    let failure: unknown;
    for (const address of addresses) {
      try {
        const session = start(address);
        this.#session = session;
        await session.opened();
        this.#serve(session, addresses.filter((other) => other !== address));
        return session;
      } catch (error) {
        failure = failureOf(error);
        if (this.#isClosed) break;
      }
    }
    this.port.postMessage({ type: 'failed', failure: failure as Failure });
    throw failure;
  }

  #serve(session: CoreSession, others: Address[]): void {
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

  #on(message: ToWorker): void {
    const session = this.#session;
    switch (message.type) {
      case 'question':
        void this.#answer(message.id, message.question);
        break;
      case 'close':
        this.#isClosed = true;
        session?.close(message.code, message.reason);
        break;
      case 'hurry':
        session?.hurry();
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
        if (session) this.#read(session, message.stream, message.bytes);
        break;
      case 'stop':
        if (session) this.#stop(session, message.stream, message.code);
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

  /** There is a stream. What the page says of a half that is over crossed the news of that, and means nothing. */
  #begin(
    session: CoreSession,
    stream: number | undefined,
    hasReceiving: boolean,
    hasSending: boolean,
  ): number | undefined {
    if (stream === undefined) return undefined;
    if (hasReceiving) this.#reading.set(stream, { credit: 0, isRunning: false });
    if (hasSending) {
      const delivered = session.delivered(stream);
      this.#writing.set(stream, { last: Promise.resolve(), isOver: false, delivered });
      delivered.then(
        () => this.#writeEnded(session, stream),
        (error: unknown) => this.#writeFailed(session, stream, failureOf(error)),
      );
    }
    return stream;
  }

  // ---- the receiving half of a stream ----

  #read(session: CoreSession, stream: number, bytes: number): void {
    const reading = this.#reading.get(stream);
    if (!reading) return;
    reading.credit += bytes;
    if (!reading.isRunning) void this.#readOn(session, stream, reading);
  }

  async #readOn(session: CoreSession, stream: number, reading: Reading): Promise<void> {
    reading.isRunning = true;
    try {
      while (reading.credit > 0) {
        const max = Math.min(reading.credit, MAX_READ_BYTES);
        const { data, done } = (await session.read(stream, max)) as { data?: Uint8Array; done: boolean };
        reading.credit -= data?.byteLength ?? 0;
        this.port.postMessage(
          { type: 'data', stream, data, done },
          data ? [data.buffer as ArrayBuffer] : [],
        );
        if (done) return this.#readEnded(session, stream);
      }
    } catch (error) {
      this.port.postMessage({ type: 'readFailed', stream, failure: failureOf(error) });
      this.#readEnded(session, stream);
    } finally {
      reading.isRunning = false;
    }
  }

  #stop(session: CoreSession, stream: number, code: number): void {
    const reading = this.#reading.get(stream);
    if (!reading) return;
    session.stop(stream, code);
    // One that waits for more is told, and comes to its own end.
    if (!reading.isRunning) this.#readEnded(session, stream);
  }

  #readEnded(session: CoreSession, stream: number): void {
    this.#reading.delete(stream);
    session.releaseRecv(stream);
  }

  // ---- the sending half of a stream ----

  #write(session: CoreSession, stream: number, data: Uint8Array): void {
    const writing = this.#writing.get(stream);
    if (!writing) return;
    const bytes = data.byteLength;
    writing.last = writing.last.then(async () => {
      if (writing.isOver) return;
      try {
        await session.write(stream, data);
        this.port.postMessage({ type: 'written', stream, bytes });
      } catch (error) {
        this.#stopWriting(stream, failureOf(error));
      }
    });
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

  /** The server may stop a stream that nobody writes to, too. */
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

/**
 * What the Rust side throws are plain objects. Anything else is a fault of the module itself, after which nothing in
 * it can be trusted.
 */
function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return error as Failure;
  crash(error);
  return { kind: 'crash', message: error.message };
}

/** Ends the worker: an error that nobody catches is what the pool learns of. */
export function crash(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}
