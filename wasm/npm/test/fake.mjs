/** A session without a network, and workers that are none: what is written to a stream can be seen and answered. */
import { MessageChannel } from 'node:worker_threads';
import { ServedSession } from '../dist/served.js';

/** A queue that is waited for; `undefined` when it has ended. */
class Queue {
  #items = [];
  #waiting = [];
  #ended = false;

  push(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  end() {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting(undefined);
  }

  next() {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** One stream of a `FakeCore`: `incoming` is what the page reads, `written` what it has written. */
class FakeStream {
  incoming = new Queue();
  written = [];
  /** Bytes that the session has handed to the page. */
  handedOut = 0;
  finished = false;
  /** Set to have writes wait. */
  blocked = undefined;
  failure = undefined;
  calls = [];
  delivery = withResolvers();
}

export class FakeCore {
  streams = new Map();
  accepts = { true: new Queue(), false: new Queue() };
  datagrams = new Queue();
  happenings = new Queue();
  sentDatagrams = [];
  /** Set to have datagrams wait. */
  datagramsBlocked = undefined;
  calls = [];
  pathList = [{ id: 0, state: 'active', url: 'kwik://a:1', rate: 0, rtt: 5 }];
  #opened = withResolvers();
  #closed = withResolvers();
  #last = -4;

  constructor(address, options = {}) {
    this.address = address;
    if (options.refuse) this.#opened.reject({ kind: 'session', message: 'refused' });
    else if (!options.pending) this.#opened.resolve();
    this.#opened.promise.catch(() => {});
    this.#closed.promise.catch(() => {});
  }

  stream(id) {
    if (!this.streams.has(id)) this.streams.set(id, new FakeStream());
    return this.streams.get(id);
  }

  opened = () => this.#opened.promise;
  closed = () => this.#closed.promise;
  open = async () => (this.#last += 4);
  accept = (bidirectional) => this.accepts[bidirectional].next();
  paths = () => this.pathList;
  stats = () => ({ bytesSent: 1 });
  maxDatagramSize = () => 1000;
  recvDatagram = () => this.datagrams.next();
  events = () => this.happenings;
  hurry = () => this.calls.push(['hurry']);

  async sendDatagram(data) {
    await this.datagramsBlocked;
    this.sentDatagrams.push(data);
  }

  removePath = (path) => this.calls.push(['removePath', path]);

  async addPath(url) {
    const path = { id: this.pathList.length, state: 'active', url, rate: 0, rtt: 2 };
    this.pathList = [...this.pathList, path];
    return path.id;
  }

  async read(id, max) {
    const stream = this.stream(id);
    const next = await stream.incoming.next();
    if (next === undefined) return { done: true };
    if (!(next instanceof Uint8Array)) throw next;
    if (next.byteLength > max) throw new Error(`a piece of ${next.byteLength} bytes for a read of ${max}`);
    stream.handedOut += next.byteLength;
    return { data: next, done: false };
  }

  async write(id, data) {
    const stream = this.stream(id);
    await stream.blocked;
    if (stream.failure) throw stream.failure;
    for (const byte of data) stream.written.push(byte);
  }

  finish(id) {
    this.stream(id).finished = true;
    this.stream(id).delivery.resolve();
  }

  delivered = (id) => this.stream(id).delivery.promise;

  reset(id, code) {
    this.stream(id).calls.push(['reset', code]);
    this.stream(id).delivery.reject({ kind: 'closed', message: 'reset' });
  }

  releaseSend = (id) => this.stream(id).calls.push(['releaseSend']);
  releaseRecv = (id) => this.stream(id).calls.push(['releaseRecv']);

  stop(id, code) {
    this.stream(id).calls.push(['stop', code]);
    this.stream(id).incoming.push({ kind: 'closed', message: 'stopped' });
  }

  close(code, reason) {
    this.calls.push(['close', code, reason]);
    this.#opened.reject({ kind: 'session', message: 'closed by this end' });
    this.end({ closeCode: code, reason: '' });
  }

  /** The session ends, with this information or this failure. */
  end(info) {
    if (info.kind) this.#closed.reject(info);
    else this.#closed.resolve(info);
    this.happenings.end();
    this.datagrams.end();
    this.accepts.true.end();
    this.accepts.false.end();
  }
}

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
}

/** A worker that serves `FakeCore`s in this thread. `makeCore` may choose how they behave. */
export class FakeWorker {
  static all = [];
  terminated = false;
  cores = [];
  ports = [];

  constructor(makeCore = (address) => new FakeCore(address)) {
    this.makeCore = makeCore;
    FakeWorker.all.push(this);
  }

  postMessage({ port, address, others }) {
    this.ports.push(port);
    new ServedSession(port, [address, ...others], (address) => {
      const core = this.makeCore(address);
      this.cores.push(core);
      return core;
    });
  }

  terminate() {
    this.terminated = true;
    for (const port of this.ports) port.close();
  }

  crash(message) {
    this.onerror({ message, preventDefault() {} });
  }
}

globalThis.MessageChannel ??= MessageChannel;

/** Lets everything that is under way arrive: a message port takes a turn of the event loop. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
