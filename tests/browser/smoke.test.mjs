/** What can be seen of the package in a real browser without any server. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, before, test } from 'node:test';
import { DIST, launch, serve } from './browser.mjs';

let site;
let browser;
let page;

before(async () => {
  site = await serve(DIST);
  browser = await launch();
  page = await browser.newPage();
  page.on('console', (message) => console.log(`[page] ${message.text()}`));
  await page.goto(site.url);
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** A UDP port at which nobody answers. */
async function silentPort() {
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { port: socket.address().port, close: () => socket.close() };
}

/** Runs in the page: opens a session and returns how that fails, and what the pool looks like then. */
const fail = async ({ url, options }) => {
  const { Kwik } = await import('/index.js');
  const describe = (error) => ({ name: error.name, message: error.message, source: error.source });
  const session = new Kwik(url, options);
  const during = Kwik.workerPool.stats();
  const ready = await session.ready.then(() => 'open', describe);
  const closed = await session.closed.then(() => 'closed', describe);
  return { ready, closed, during, after: Kwik.workerPool.stats() };
};

test('the module is loaded in a worker, and a server that is not there is an error that says so', async () => {
  const silent = await silentPort();
  const pin = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU';
  const url = `kwik://127.0.0.1:${silent.port}?pin=${pin}`;
  const outcome = await page.evaluate(fail, { url, options: { handshakeTimeout: 2000 } });
  silent.close();
  assert.equal(outcome.ready.name, 'WebTransportError');
  assert.equal(outcome.ready.source, 'session');
  assert.match(outcome.ready.message, /the server could not be reached/);
  assert.deepEqual(outcome.closed, outcome.ready);
  assert.equal(outcome.during.workers, 1);
  assert.equal(outcome.after.workers, 0);
});

test('the first address that answers is wanted: all of them are tried before the session fails', async () => {
  const url = ['https://127.0.0.1:1', 'kwik://127.0.0.1:2'];
  const { ready } = await page.evaluate(fail, { url, options: { handshakeTimeout: 2000 } });
  assert.match(ready.message, /the server could not be reached/);
  assert.match(ready.message, /https:\/\/127\.0\.0\.1:2\/\.well-known\/kwik\/1/);
});

test('addresses in all their forms lead to the one URL that serves sessions', async () => {
  const forms = {
    'kwik://localhost': 'https://localhost:4433',
    'https://localhost': 'https://localhost:443',
    'HTTPS://localhost:1/.well-known/kwik/1': 'https://localhost:1',
    'https://[::1]/': 'https://[::1]:443',
    'https://[::1]:5?pin=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU': 'https://[::1]:5',
  };
  for (const [url, origin] of Object.entries(forms)) {
    const { ready } = await page.evaluate(fail, { url, options: {} });
    assert.ok(ready.message.includes(`${origin}/.well-known/kwik/1`), `${url}: ${ready.message}`);
  }
});

test('what is no address is a syntax error', async () => {
  const { ready } = await page.evaluate(fail, { url: 'ftp://example.com', options: {} });
  assert.equal(ready.name, 'SyntaxError');
  assert.match(ready.message, /is not a valid address: expected kwik:\/\/HOST:PORT/);
});

test('a worker that crashes is replaced, and its session says why', async () => {
  const outcome = await page.evaluate(async () => {
    const { Kwik } = await import('/index.js');
    const started = [];
    const OriginalWorker = globalThis.Worker;
    globalThis.Worker = class extends OriginalWorker {
      constructor(...args) {
        super(...args);
        started.push(this);
      }
    };
    const before = Kwik.workerPool.stats().crashed;
    const session = new Kwik('kwik://127.0.0.1:9');
    started[0].postMessage({ port: null });
    const message = await session.closed.catch((error) => error.message);
    globalThis.Worker = OriginalWorker;
    return { message, crashed: Kwik.workerPool.stats().crashed - before };
  });
  assert.match(outcome.message, /worker of this session crashed/);
  assert.equal(outcome.crashed, 1);
});
