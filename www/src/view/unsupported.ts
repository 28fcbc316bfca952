/** Browsers that cannot show the demo are told so. */

import { part } from './parts.js';

/** Whether the page can work here; says on the page why not. */
export function checkSupport(): boolean {
  const isThere = 'WebTransport' in globalThis;
  if (!isThere) {
    part('unsupported').hidden = false;
    part('connect-state').hidden = true;
  }
  return isThere;
}
