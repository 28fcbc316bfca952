/** A session without a network, and workers that are none: what is written to a stream can be seen and answered. */
import { MessageChannel } from 'node:worker_threads';
import { Host } from '../dist/host.js';

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

  /** What there is; `undefined` if there is nothing. */
  now() {
    return this.#items.shift();
  }

  hasEnded() {
    return this.#ended && this.#items.length === 0;
  }

  /** Resolves when `now` has something, or never will. */
  async any() {
    if (this.#items.length > 0 || this.#ended) return;
    this.#items.unshift(...[await new Promise((resolve) => this.#waiting.push(resolve))].filter((item) => item !== undefined));
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
  /** The rest of what was taken only in part. */
  arrived = undefined;
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
  networkChanged = () => this.calls.push(['networkChanged']);

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

  take(id, buffer) {
    const stream = this.stream(id);
    let taken = 0;
    while (taken < buffer.byteLength) {
      stream.arrived ??= stream.incoming.now();
      if (stream.arrived === undefined) break;
      if (!(stream.arrived instanceof Uint8Array)) {
        if (taken === 0) throw stream.arrived;
        break;
      }
      const part = stream.arrived.subarray(0, buffer.byteLength - taken);
      buffer.set(part, taken);
      taken += part.byteLength;
      stream.arrived = part.byteLength < stream.arrived.byteLength ? stream.arrived.subarray(part.byteLength) : undefined;
    }
    stream.handedOut += taken;
    return taken;
  }

  isFinished = (id) => this.stream(id).incoming.hasEnded() && this.stream(id).arrived === undefined;
  readable = (id) => this.stream(id).incoming.any();

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
  /** All messages that went to the page or came from it. */
  messages = [];
  #ends = new MessageChannel();

  constructor(makeCore = (address) => new FakeCore(address)) {
    const { port1: page, port2: worker } = this.#ends;
    const start = (address) => {
      const core = makeCore(address);
      this.cores.push(core);
      return core;
    };
    const scope = { postMessage: (envelope, transfer) => this.#send(worker, envelope, transfer) };
    const host = new Host(scope, Promise.resolve(start));
    worker.onmessage = ({ data }) => host.on(data);
    page.onmessage = ({ data }) => this.onmessage({ data });
    FakeWorker.all.push(this);
  }

  postMessage(envelope, transfer) {
    this.#send(this.#ends.port1, envelope, transfer);
  }

  #send(port, envelope, transfer) {
    this.messages.push(envelope.message.type);
    port.postMessage(envelope, transfer);
  }

  terminate() {
    this.terminated = true;
    this.#ends.port1.close();
  }

  crash(message) {
    this.onerror({ message, preventDefault() {} });
  }
}

/** Lets everything that is under way arrive: a message port takes a turn of the event loop. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
