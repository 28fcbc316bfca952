import { Buffers } from './buffers.js';
import { KwikDatagrams } from './datagrams.js';
import { checkedCode, codeOf, errorOf, KwikError } from './errors.js';
import type { Executor, Lease } from './executor.js';
import { Deferred, Questions } from './port.js';
import type { Address, Failure, KwikPath, SessionEvent, ToPage } from './protocol.js';
import { ReceiveHalf } from './receive.js';
import { SendHalf } from './send.js';

/** How long a session that has ended keeps its worker for streams that are not read to their end yet. */
const READ_GRACE_MS = 10_000;

/** What may be chosen about a session. Durations are in milliseconds. */
export interface KwikOptions {
  /** The certificates to accept, as in the W3C interface; besides those that a URL pins (`?pin=`). */
  serverCertificateHashes?: { algorithm?: string; value?: BufferSource }[];
  /**
   * How many workers the page's sessions share; counts for the first one. Default: one for each core, at most 4. A session
   * of `kwik-transport/here` has none.
   */
  workers?: number;
  /** Which path carries the next bytes. Default: `earliest-completion`. */
  scheduler?:
    | 'earliest-completion'
    | 'min-rtt'
    | 'round-robin'
    | 'weighted'
    | 'redundant'
    | 'primary-backup';
  /**
   * How long a session without any path is kept, in milliseconds, up to a year. Default 30,000; the shorter of both ends'
   * values counts. With 0 a session ends with its last path.
   */
  resumeTimeout?: number;
  /** How long a path may stay silent before it is given up and dialled anew, in milliseconds: 1 to a year. Default 3,000. */
  pathTimeout?: number;
  /** How long opening a path may take, in milliseconds: 1 to a year. Default 10,000. */
  handshakeTimeout?: number;
  /** Most paths at one time: 1 to 256. Default 8. */
  maxPaths?: number;
}

/** The URL of a server; or several, each of which becomes a path. */
export type KwikUrls = string | URL | (string | URL)[];

/** How a session was closed. */
export interface KwikCloseInfo {
  /** 0 by default; a whole number below 2^62. Above 2^53 it is rounded, as all numbers are. */
  closeCode?: number;
  reason?: string;
}

export interface KwikBidirectionalStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<BufferSource>;
}

/** Counts of a session, and what is known of its paths. */
export interface KwikStats {
  bytesSent: number;
  bytesReceived: number;
  /** Bytes sent a second time without need, to have them there sooner. */
  bytesReinjected: number;
  /** Bytes sent again because a path was silent or gone. */
  bytesRetransmitted: number;
  /** Bytes written that the server has not acknowledged. */
  bytesRetained: number;
  /** Bytes that arrived and wait for their readers. */
  bytesBuffered: number;
  openStreams: number;
  droppedDatagrams: number;
  pathFailures: number;
  /** How often the session had no path and went on. */
  resumes: number;
  /** The least rtt of all paths in use, in milliseconds. */
  smoothedRtt: number | null;
  paths: KwikPath[];
}

/** Something that happened to a session: `path` is the one concerned, `detail` says more, for people. */
export class KwikEvent extends Event {
  constructor(
    type: string,
    readonly path: number | undefined,
    readonly detail: string | undefined,
  ) {
    super(type);
  }
}

/** The events of a session. */
export interface KwikEventMap {
  pathadded: KwikEvent;
  pathsuspect: KwikEvent;
  pathlost: KwikEvent;
  pathrecovered: KwikEvent;
  pathadvised: KwikEvent;
  suspended: KwikEvent;
  resumed: KwikEvent;
}

/**
 * A session with a server, over any number of WebTransport connections. It has the members of the browser's own
 * `WebTransport`, which behave as the W3C draft says. Where it runs is its subclasses' business.
 */
export class KwikSession extends EventTarget {
  /** As in the W3C interface: unreliable delivery is there, by datagrams. */
  readonly reliability = 'supports-unreliable';
  readonly congestionControl = 'default';

  /** Resolves when the session is open. */
  readonly ready: Promise<void>;
  /** Resolves when the session was closed, by either end; rejects when it broke. */
  readonly closed: Promise<KwikCloseInfo>;
  /** Resolves when the server wants no new streams. */
  readonly draining: Promise<void>;
  readonly datagrams: KwikDatagrams;
  /** Streams that the server opens. */
  readonly incomingBidirectionalStreams: ReadableStream<KwikBidirectionalStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;

  #questions: Questions;
  #lease: Lease;
  #ready = new Deferred<void>();
  #closed = new Deferred<KwikCloseInfo>();
  #draining = new Deferred<void>();
  #isOver = false;
  #failure: Failure | undefined;
  #grace: ReturnType<typeof setTimeout> | undefined;
  #closeReason: KwikCloseInfo = {};
  #paths: KwikPath[] = [];
  #receiving = new Map<number, ReceiveHalf>();
  #sending = new Map<number, SendHalf>();
  #hashes: Uint8Array[];
  #buffers = new Buffers();
  #onVisible = () => {
    if (document.visibilityState === 'visible') this.#lease.postMessage({ type: 'networkChanged' });
  };

  /**
   * Begins to open a session. With several URLs, the first one that answers opens it, and each of the others becomes
   * a further path. `kwik://HOST:PORT` or `https://HOST:PORT`, with `?pin=` for a certificate that is not the
   * platform's to trust.
   */
  constructor(urls: KwikUrls, options: KwikOptions, executor: Executor) {
    super();
    this.#hashes = hashesOf(options);
    const [address, ...others] = (Array.isArray(urls) ? urls : [urls]).map((url) => this.#address(url));
    if (!address) throw new DOMException('a session needs at least one URL', 'SyntaxError');
    const { workers, serverCertificateHashes: _, ...rest } = options;
    const onMessage = (message: ToPage) => this.#on(message);
    this.#lease = executor.open({ onMessage, onCrash: (why) => this.#crashed(why) }, workers);
    this.#lease.postMessage({ type: 'begin', address, others, options: rest });
    this.#questions = new Questions(this.#lease);
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.draining = this.#draining.promise;
    this.datagrams = new KwikDatagrams(this.#lease);
    this.incomingBidirectionalStreams = this.#incoming(true, (stream) => this.#bothHalves(stream));
    this.incomingUnidirectionalStreams = this.#incoming(false, (stream) => this.#receive(stream).readable);
    globalThis.document?.addEventListener('visibilitychange', this.#onVisible);
  }

  /** What is known of each path, as of the last event; `getStats()` has it as of now. */
  get paths(): readonly KwikPath[] {
    return this.#paths;
  }

  async createBidirectionalStream(_options?: object): Promise<KwikBidirectionalStream> {
    return this.#bothHalves(await this.#questions.ask<number>({ ask: 'open', bidirectional: true }));
  }

  async createUnidirectionalStream(_options?: object): Promise<WritableStream<BufferSource>> {
    return this.#send(await this.#questions.ask<number>({ ask: 'open', bidirectional: false })).writable;
  }

  /** Adds a path by another URL, and resolves with it when it is part of the session. One that is lost is dialled anew. */
  async addPath(url: string | URL): Promise<KwikPath> {
    const id = await this.#questions.ask<number>({ ask: 'addPath', address: this.#address(url) });
    const { paths } = await this.getStats();
    const path = paths.find((path) => path.id === id);
    if (!path) throw new KwikError(`path ${id} was lost as soon as it was there`, { source: 'session' });
    return path;
  }

  /** Removes a path, in good order: what it carries goes on elsewhere, and it is not dialled again. */
  async removePath(path: KwikPath | number): Promise<void> {
    await this.#questions.ask({ ask: 'removePath', path: typeof path === 'number' ? path : path.id });
  }

  async getStats(): Promise<KwikStats> {
    const stats = await this.#questions.ask<Omit<KwikStats, 'smoothedRtt'>>({ ask: 'stats' });
    this.#paths = stats.paths;
    const rtts = stats.paths.filter(({ state }) => state === 'active').map(({ rtt }) => rtt ?? Infinity);
    const least = Math.min(...rtts);
    return { ...stats, smoothedRtt: Number.isFinite(least) ? least : null };
  }

  /** Ends the session once the server has everything that was written. Throws a `RangeError` when the code is none. */
  close(info: KwikCloseInfo = {}): void {
    const code = checkedCode('closeCode', info.closeCode ?? 0);
    if (this.#isOver) return;
    this.#closeReason = info;
    this.#lease.postMessage({ type: 'close', code, reason: info.reason ?? '' });
  }

  override addEventListener<K extends keyof KwikEventMap>(
    type: K,
    listener: (this: KwikSession, event: KwikEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(type: string, listener: never, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener, options);
  }

  // ---- what the worker says ----

  #on(message: ToPage): void {
    switch (message.type) {
      case 'ready':
        this.#learn(message);
        this.#ready.resolve();
        break;
      case 'answer':
        this.#questions.answer(message.id, message.value, message.failure);
        break;
      case 'data':
        this.#receiving.get(message.stream)?.data(message.data, message.done);
        break;
      case 'readFailed':
        this.#receiving.get(message.stream)?.failed(message.failure);
        break;
      case 'written':
        this.#buffers.give(...message.buffers);
        this.#sending.get(message.stream)?.written(message.bytes);
        break;
      case 'writeFailed':
        this.#sending.get(message.stream)?.failed(message.failure);
        break;
      case 'datagram':
        this.datagrams.received(message.data);
        break;
      case 'datagramTaken':
        this.datagrams.taken();
        break;
      case 'event':
        this.#learn(message);
        this.#announce(message.event);
        break;
      case 'closed':
        this.#end(undefined, { ...message });
        break;
      case 'failed':
        this.#end(message.failure, {});
        break;
    }
  }

  #learn({ paths, maxDatagramSize }: { paths: KwikPath[]; maxDatagramSize: number }): void {
    this.#paths = paths;
    this.datagrams.setMaxDatagramSize(maxDatagramSize);
  }

  #announce(event: SessionEvent): void {
    if (event.type === 'draining') this.#draining.resolve();
    else this.dispatchEvent(new KwikEvent(event.type, event.path, event.message));
  }

  #crashed(why: string): void {
    this.#end({ kind: 'crash', message: why }, {});
    for (const half of [...this.#receiving.values()]) half.fail(this.#error());
  }

  #error(): Error {
    const { closeCode = 0 } = this.#closeReason;
    const closed: Failure = { kind: 'session', message: `the session was closed with code ${closeCode}` };
    return errorOf(this.#failure ?? closed);
  }

  #end(failure: Failure | undefined, { closeCode = 0, reason = '' }: KwikCloseInfo): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    // What this end gave as the reason does not come back from the worker.
    this.#closeReason = { closeCode, reason: reason || (this.#closeReason.reason ?? '') };
    const error = this.#error();
    this.#ready.reject(error);
    if (failure) this.#closed.reject(error);
    else this.#closed.resolve(this.#closeReason);
    this.datagrams.end(failure && error);
    this.#questions.end(error);
    for (const half of [...this.#sending.values()]) half.fail(error);
    globalThis.document?.removeEventListener('visibilitychange', this.#onVisible);
    // What has arrived may still be read.
    this.#grace = setTimeout(() => this.#release(), READ_GRACE_MS);
    this.#releaseIfRead();
  }

  #releaseIfRead(): void {
    if (this.#isOver && this.#receiving.size === 0) this.#release();
  }

  #release(): void {
    clearTimeout(this.#grace);
    this.#lease.release();
    for (const half of [...this.#receiving.values()]) half.fail(this.#error());
  }

  // ---- streams ----

  #bothHalves(stream: number): KwikBidirectionalStream {
    return { readable: this.#receive(stream).readable, writable: this.#send(stream).writable };
  }

  #receive(stream: number): ReceiveHalf {
    const half = new ReceiveHalf(this.#lease, stream, () => {
      this.#receiving.delete(stream);
      this.#releaseIfRead();
    });
    this.#receiving.set(stream, half);
    return half;
  }

  #send(stream: number): SendHalf {
    const onEnd = () => void this.#sending.delete(stream);
    const half = new SendHalf(this.#lease, this.#questions, stream, this.#buffers, onEnd);
    this.#sending.set(stream, half);
    return half;
  }

  #incoming<T>(bidirectional: boolean, wrap: (stream: number) => T): ReadableStream<T> {
    return new ReadableStream<T>(
      {
        pull: async (controller) => {
          const stream = await this.#questions
            .ask<number | undefined>({ ask: 'accept', bidirectional })
            .catch((error: unknown) => {
              if (this.#failure) throw error;
            });
          if (stream === undefined) controller.close();
          else controller.enqueue(wrap(stream));
        },
        cancel: (reason) => void codeOf(reason),
      },
      { highWaterMark: 0 },
    );
  }

  #address(url: string | URL): Address {
    return { url: String(url), pins: this.#hashes };
  }
}

function hashesOf({ serverCertificateHashes = [] }: KwikOptions): Uint8Array[] {
  const known = serverCertificateHashes.filter(({ algorithm = 'sha-256' }) => algorithm.toLowerCase() === 'sha-256');
  return known.map(({ value }) => {
    if (value === undefined) throw new TypeError('serverCertificateHashes: a hash has no value');
    const bytes = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
    return bytes.slice();
  });
}
