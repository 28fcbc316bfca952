/** The script of each worker of the pool: loads the module once, and serves the sessions that it is given. */
import init, { Session } from './core.js';
import { Host, type WorkerScope } from './host.js';
import type { Envelope, ToWorker } from './protocol.js';

const loaded = init({ module_or_path: new URL('./core_bg.wasm', import.meta.url) });
// TypeScript takes it for a window's.
const scope = self as unknown as WorkerScope;
const host = new Host(
  scope,
  loaded.then(() => ({ url, pins }, options) => new Session(url, pins, options)),
);

self.onmessage = ({ data }: MessageEvent<Envelope<ToWorker>>) => host.on(data);
