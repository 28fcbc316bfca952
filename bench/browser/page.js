/**
 * What is measured, in the page. Both sessions are opened once, as an application has them, and used for all transfers;
 * what it takes to open them is not in the figures.
 */
import { Kwik } from '/dist/index.js';
import { transfer } from './transfer.js';

/** The page's tasks that took 50 ms or more, in milliseconds; a browser tells of no others. */
export const longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({
  type: 'longtask',
});

let session;
let worker;

/** `kwik`: an address of KWIK's; `raw`: the URL of a WebTransport server whose certificate is pinned by `pin`. */
export async function open({ kwik, raw, pin }) {
  session = new Kwik(kwik);
  await session.ready;
  worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const hash = Uint8Array.from(atob(pin.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  await ask({ url: raw, hash });
}

/** Transfers by name: through KWIK, from the page's thread, and raw, in a worker of its own. They return MB/s. */
export const transfers = {
  kwik: async (direction, bytes) => transfer(await session.createBidirectionalStream(), direction, bytes),
  raw: (direction, bytes) => ask({ direction, bytes }),
};

function ask(question) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(question);
  });
}
