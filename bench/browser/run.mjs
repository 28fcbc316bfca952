/**
 * KWIK beside raw WebTransport in one page, with the same server process, run by run in turn: raw and KWIK each in a worker
 * of the page (`kwik-transport/here`), and KWIK used from the page's own thread.
 *
 *   cargo xtask npm && cargo build --release -p kwik-bench && npm ci --prefix tests/browser
 *   node bench/browser/run.mjs [--rounds 5] [--mb 200] [--server target/release/kwik-bench]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DIST, launch } from '../../tests/browser/browser.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../target/release/kwik-bench', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mb: { type: 'string', default: '200' },
    server: { type: 'string', default: PROGRAM },
  },
});

/** The package below /dist/, the scripts of this directory, and an empty page for everything else. */
async function serve() {
  const site = createServer(async ({ url }, response) => {
    const path = normalize(new URL(url, 'http://site').pathname);
    const file = path.startsWith('/dist/') ? join(DIST, path.slice('/dist/'.length)) : join(HERE, path);
    const body = await readFile(file).catch(() => undefined);
    const type = (body && TYPES[extname(path)]) ?? 'text/html';
    response.writeHead(200, { 'content-type': type }).end(body ?? '<!doctype html><title>KWIK</title>');
  });
  await once(site.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${site.address().port}/`;
}

/** Starts the server; it prints where it is, as JSON. */
async function startServer() {
  const server = spawn(options.server, ['browser-serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill());
  const failed = once(server, 'error').then(([error]) => Promise.reject(error));
  const [line] = await Promise.race([once(createInterface(server.stdout), 'line'), failed]);
  return JSON.parse(line);
}

/** One transfer: MB/s, and the page's longest task in milliseconds (0 if none took 50). */
async function run(page, name, direction, bytes) {
  const measure = async ([name, direction, bytes]) => {
    const { longTasks, transfers } = await import('/page.js');
    longTasks.length = 0;
    const rate = await transfers[name](direction, bytes);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { rate, longest: Math.max(0, ...longTasks) };
  };
  return page.evaluate(measure, [name, direction, bytes]);
}

function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function report(direction, name) {
  const rates = (name) => runs[direction][name].map(({ rate }) => rate);
  const longest = Math.max(...runs[direction][name].map(({ longest }) => longest));
  const [raw, kwik] = [median(rates('raw')), median(rates(name))];
  const tasks = longest ? `${longest.toFixed(0)} ms` : 'below 50 ms';
  console.log(`| ${direction}, ${name} | ${raw.toFixed(0)} | ${kwik.toFixed(0)} | **${(kwik / raw).toFixed(2)}** | ${tasks} |`);
}

const [origin, addresses, browser] = await Promise.all([serve(), startServer(), launch()]);
const page = await browser.newPage();
page.on('console', (message) => console.error(`[page] ${message.text()}`));
await page.goto(origin);
await page.evaluate(async (addresses) => (await import('/page.js')).open(addresses), addresses);

const DIRECTIONS = ['down', 'up'];
const NAMES = ['raw', 'worker', 'page'];
const runs = Object.fromEntries(DIRECTIONS.map((key) => [key, Object.fromEntries(NAMES.map((name) => [name, []]))]));
// Two rounds do not count: while the browser compiles what it runs, it needs a fifth of a core for that.
for (let round = -2; round < Number(options.rounds); round += 1) {
  for (const direction of DIRECTIONS) {
    for (const name of NAMES) {
      const result = await run(page, name, direction, Number(options.mb) * 1e6);
      if (round >= 0) runs[direction][name].push(result);
    }
  }
}
console.log(`${options.rounds} transfers of ${options.mb} MB each way, in turn; medians, MB/s\n`);
console.log('| | raw in a worker | KWIK | KWIK / raw | longest task of the page |\n|---|---|---|---|---|');
for (const direction of DIRECTIONS) for (const name of ['worker', 'page']) report(direction, name);
for (const direction of DIRECTIONS) {
  const all = NAMES.map((name) => `${name} ${runs[direction][name].map(({ rate }) => rate.toFixed(0)).join(' ')}`);
  console.log(`\n${direction}: ${all.join('; ')}`);
}
await browser.close();
process.exit(0);
