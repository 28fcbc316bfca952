import { WorkerPool, type WorkerLike, type WorkerPoolStats } from './pool.js';
import { type KwikOptions, KwikSession, type KwikUrls } from './session.js';

/** The pool's public face. */
export interface KwikWorkerPool {
  stats(): WorkerPoolStats;
}

/** Bundlers look for exactly these words, and put the worker's script where the page finds it. */
const startWorker = (): WorkerLike =>
  new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'kwik' });

let pool = new WorkerPool(startWorker);

/** For tests: another kind of worker. */
export function useWorkers(start: () => WorkerLike): void {
  pool = new WorkerPool(start);
}

/** A session that runs in one of the workers which all sessions of the page share. */
export class Kwik extends KwikSession {
  /** Those workers. */
  static readonly workerPool: KwikWorkerPool = { stats: () => pool.stats() };

  constructor(urls: KwikUrls, options: KwikOptions = {}) {
    super(urls, options, pool);
  }
}
