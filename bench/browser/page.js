/** What is measured in the page: each function makes one transfer and returns MB/s. */
import { Kwik } from '/dist/index.js';
import { transfer } from './transfer.js';

/** Through KWIK, as an application has it: from the page's thread. */
export async function kwik({ url }, direction, bytes) {
  const session = new Kwik(url);
  await session.ready;
  const rate = await transfer(await session.createBidirectionalStream(), direction, bytes);
  session.close();
  await session.closed;
  return rate;
}

/** Through the browser's own WebTransport, in a worker. */
export async function raw({ url, pin }, direction, bytes) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const value = Uint8Array.from(atob(pin.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ url, value, direction, bytes });
    });
  } finally {
    worker.terminate();
  }
}

/** The page's tasks that took 50 ms or more, in milliseconds; a browser tells of no others. */
export const longTasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longTasks.push(duration);
}).observe({ type: 'longtask' });
