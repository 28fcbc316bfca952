/** What both entries of the package have in common. */
export type { KwikDatagrams } from './datagrams.js';
export { KwikError, type KwikErrorOptions } from './errors.js';
export type { KwikPath } from './protocol.js';
export {
  type KwikBidirectionalStream,
  type KwikCloseInfo,
  KwikEvent,
  type KwikEventMap,
  type KwikOptions,
  KwikSession,
  type KwikStats,
  type KwikUrls,
} from './session.js';
