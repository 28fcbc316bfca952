/** The script of each worker of the pool: loads the module once, and serves the sessions that it is given. */
import { Host, type WorkerScope } from './host.js';
import type { Envelope, ToWorker } from './protocol.js';
import { load } from './start.js';

// TypeScript takes it for a window's.
const scope = self as unknown as WorkerScope;
const host = new Host(scope, load());

self.onmessage = ({ data }: MessageEvent<Envelope<ToWorker>>) => host.on(data);
