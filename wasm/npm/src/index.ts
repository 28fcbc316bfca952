/** KWIK in a browser: `new Kwik(url)` instead of `new WebTransport(url)`. */
export { type KwikDatagrams } from './datagrams.js';
export { KwikError, type KwikErrorOptions } from './errors.js';
export {
  Kwik,
  type KwikBidirectionalStream,
  type KwikCloseInfo,
  KwikEvent,
  type KwikEventMap,
  type KwikOptions,
  type KwikStats,
  type KwikWorkerPool,
} from './kwik.js';
export type { WorkerPoolStats } from './pool.js';
export type { KwikPath } from './protocol.js';
