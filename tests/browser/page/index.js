/** What the tests use inside a page. */
export { Kwik } from '/index.js';
export { control } from './control.js';
export { failureOf, open, watch } from './session.js';
export { ask, download, incoming, noise, readAll, requestLine, sha256, upload } from './streams.js';
