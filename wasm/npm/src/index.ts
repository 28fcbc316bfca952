/** KWIK in a browser: `new Kwik(url)` instead of `new WebTransport(url)`. */
export { Kwik, type KwikWorkerPool } from './kwik.js';
export type { WorkerPoolStats } from './pool.js';
export * from './types.js';
