import init, { Session } from './core.js';
import type { Start } from './host.js';

/** Loads the module, once in each thread; sessions can be made when it is there. */
export async function load(): Promise<Start> {
  await init({ module_or_path: new URL('./core_bg.wasm', import.meta.url) });
  return ({ url, pins }, options) => new Session(url, pins, options);
}
