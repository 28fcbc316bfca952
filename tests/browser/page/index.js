/** The entry point of the test page: the functions that tests call inside it. */
export { Kwik } from '/index.js';
export { control } from './control.js';
export { failureOf, open, watch } from './session.js';
export { ask, download, incoming, randomBytes, readAll, requestLine, sha256, upload } from './streams.js';
