/**
 * What is measured, in the page. All sessions are opened once, as an application has them, and used for all transfers;
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
let raw;
let here;

/** `kwik`: an address of KWIK's; `raw`: the URL of a WebTransport server whose certificate is pinned by `pin`. */
export async function open(server) {
  session = new Kwik(server.kwik);
  await session.ready;
  [raw, here] = ['raw', 'kwik'].map((kind) => new Worker(`./worker.js?${kind}`, { type: 'module' }));
  await ask(raw, server);
  await ask(here, server);
}

/** Transfers by name: raw in a worker, KWIK in a worker, KWIK from the page's thread. They return MB/s. */
export const transfers = {
  raw: (direction, bytes) => ask(raw, { direction, bytes }),
  worker: (direction, bytes) => ask(here, { direction, bytes }),
  page: async (direction, bytes) => transfer(await session.createBidirectionalStream(), direction, bytes),
};

function ask(worker, question) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(question);
  });
}
