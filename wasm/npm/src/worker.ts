/** The script of each worker of the pool: loads the module once, and serves the sessions that it is given. */
import init, { Session } from './core.js';
import type { Failure, OpenSession } from './protocol.js';
import { crash, type CoreSession, ServedSession } from './served.js';

const loaded = init({ module_or_path: new URL('./core_bg.wasm', import.meta.url) });

self.onmessage = ({ data }: MessageEvent<OpenSession>) => {
  serve(data).catch(crash);
};

async function serve({ port, address, others, options }: OpenSession): Promise<void> {
  try {
    await loaded;
  } catch (error) {
    const failure: Failure = { kind: 'crash', message: `the module could not be loaded: ${String(error)}` };
    port.postMessage({ type: 'failed', failure });
    return;
  }
  const start = ({ url, pins }: { url: string; pins: Uint8Array[] }) => new Session(url, pins, options) as CoreSession;
  new ServedSession(port, [address, ...others], start);
}
