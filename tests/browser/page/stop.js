/** Lets a page stop a worker's timers and refuse its dials; has to be loaded before the worker's own script. */
const page = new BroadcastChannel('stoppable worker');
const { clearTimeout, setTimeout } = globalThis;
const armed = new Set();
let isStopped = false;
let isAwaited = false;
let isRefusing = false;

globalThis.WebTransport = class extends globalThis.WebTransport {
  constructor(...args) {
    if (isRefusing) throw new Error('the network is away');
    super(...args);
    isStopped = false;
  }
};

globalThis.setTimeout = (callback, wait = 0, ...rest) => {
  if (isStopped && wait > 0) return 0;
  const timer = setTimeout(() => {
    armed.delete(timer);
    callback(...rest);
    tellIfStill();
  }, wait);
  armed.add(timer);
  return timer;
};

globalThis.clearTimeout = (timer) => {
  armed.delete(timer);
  clearTimeout(timer);
  tellIfStill();
};

function tellIfStill() {
  if (!isAwaited || armed.size > 0) return;
  isAwaited = false;
  page.postMessage('done');
}

/** What the page wants. It is told when that is so. */
page.onmessage = ({ data }) => {
  if (data === 'stop timers') {
    isStopped = true;
    isAwaited = true;
    return tellIfStill();
  }
  if (data === 'refuse dials') isRefusing = true;
  if (data === 'allow dials') isRefusing = false;
  if (data === 'online') self.dispatchEvent(new Event('online'));
  page.postMessage('done');
};
