/**
 * Programs in Rust that dial from a browser: examples, compiled to wasm32, whose servers are the same examples run
 * natively. `cargo xtask examples` builds them.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, serve } from './browser.mjs';
import { startExample } from './examples.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SCRIPTS = `${ROOT}target/wasm/examples/`;

let site;
let browser;

before(async () => {
  assert.ok(existsSync(SCRIPTS), 'the examples are not built for browsers: cargo xtask examples');
  site = await serve(SCRIPTS);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** Runs in a page: the example's client on the page's own thread. */
async function onPage({ script, argument }) {
  const { default: init, run } = await import(script);
  await init();
  return run(argument);
}

/** Runs in a page: the example's client in a dedicated worker. */
async function inWorker({ script, argument }) {
  const source = `
    import init, { run } from ${JSON.stringify(new URL(script, location.href).href)};
    onmessage = async ({ data }) => {
      await init();
      postMessage(await run(data).then((report) => ({ report }), (error) => ({ error: error.message })));
    };`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(url, { type: 'module' });
  const outcome = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(argument);
  });
  worker.terminate();
  if (outcome.error) throw new Error(outcome.error);
  return outcome.report;
}

/** What the example prints, here and there. */
async function reports(example, argument) {
  const page = await browser.newPage();
  page.on('console', (message) => console.log(`[page] ${message.text()}`));
  await page.goto(site.url);
  const script = `/${example}.js`;
  const found = { page: await page.evaluate(onPage, { script, argument }) };
  found.worker = await page.evaluate(inWorker, { script, argument });
  await page.close();
  return Object.entries(found);
}

test('a client in Rust exchanges messages and datagrams with a server, on a page and in a worker', async () => {
  const server = await startExample('pingpong', 1);
  try {
    for (const [where, report] of await reports('pingpong', server.urls[0])) {
      assert.match(report, /^stream: p50 .*^datagram: p50 /ms, where);
    }
  } finally {
    server.close();
  }
});

test('a client in Rust has its file whole although a path is cut, on a page and in a worker', async () => {
  const server = await startExample('file_transfer', 2);
  try {
    for (const [where, report] of await reports('file_transfer', server.urls)) {
      const [, sent, received] = report.match(/^sent +([0-9a-f]{64})\nreceived ([0-9a-f]{64})$/m);
      assert.equal(received, sent, where);
      const bytes = [...report.matchAll(/^path \d+: .*, (\d+) KiB received$/gm)].map(([, kib]) => Number(kib));
      assert.ok(bytes.length > 0 && bytes.some((kib) => kib > 0), `${where}: ${report}`);
    }
  } finally {
    server.close();
  }
});

test('a client in Rust sees every end of a stream and a session as natively', async () => {
  const server = await startExample('closure', 1);
  try {
    for (const [where, report] of await reports('closure', server.urls[0])) {
      const ways = report.split('\n').map((line) => line.split(':')[0]);
      assert.equal(ways.join(' '), 'finish reset stop drop drop drain close abort drop', where);
    }
  } finally {
    server.close();
  }
});
