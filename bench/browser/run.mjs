/**
 * KWIK beside raw WebTransport in one page, with the same server process, run by run in turn: raw and KWIK each in a worker
 * of the page (`kwik-transport/here`), and KWIK used from the page's own thread.
 *
 *   cargo xtask npm && cargo build --release -p kwik-bench && npm ci --prefix tests/browser
 *   node bench/browser/run.mjs [--rounds 5] [--mb 200] [--server target/release/kwik-bench]
 *
 * The ratio is the median of the rounds' own ratios: a machine whose speed changes from minute to minute changes both
 * transfers of a round.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DIST, launch, serve } from '../../tests/browser/browser.mjs';
import { cpuSeconds, difference, PARTS } from './cpu.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../target/release/kwik-bench', import.meta.url));

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mb: { type: 'string', default: '200' },
    server: { type: 'string', default: PROGRAM },
  },
});

/** Starts the server; it prints where it is, as JSON. */
async function startServer() {
  const server = spawn(options.server, ['browser-serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill());
  const failed = once(server, 'error').then(([error]) => Promise.reject(error));
  const [line] = await Promise.race([once(createInterface(server.stdout), 'line'), failed]);
  return JSON.parse(line);
}

/** One transfer: MB/s, the page's longest task in milliseconds (0 if none took 50), and CPU seconds by process. */
async function run(page, name, direction, bytes) {
  const measure = async ([name, direction, bytes]) => {
    const { longTasks, transfers } = await import('/page.js');
    longTasks.length = 0;
    const rate = await transfers[name](direction, bytes);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { rate, longest: Math.max(0, ...longTasks) };
  };
  const before = cpuSeconds();
  const result = await page.evaluate(measure, [name, direction, bytes]);
  return { ...result, cpu: difference(before, cpuSeconds()) };
}

function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);
const rates = (direction, name) => runs[direction][name].map(({ rate }) => rate);

function reportRate(direction, name) {
  const [raw, kwik] = [rates(direction, 'raw'), rates(direction, name)];
  const ratio = median(kwik.map((rate, round) => rate / raw[round]));
  const longest = Math.max(...runs[direction][name].map(({ longest }) => longest));
  const tasks = longest ? `${longest.toFixed(0)} ms` : 'below 50 ms';
  const figures = [median(raw).toFixed(0), median(kwik).toFixed(0), `**${ratio.toFixed(2)}**`, tasks];
  console.log(`| ${direction}, ${name} | ${figures.join(' | ')} |`);
}

function reportCpu(direction, name) {
  const gigabytes = (runs[direction][name].length * Number(options.mb)) / 1e3;
  const spent = PARTS.map((part) => sum(runs[direction][name].map(({ cpu }) => cpu.get(part) ?? 0)) / gigabytes);
  console.log(`| ${direction}, ${name} | ${[...spent, sum(spent)].map((seconds) => seconds.toFixed(2)).join(' | ')} |`);
}

const [site, addresses, browser] = await Promise.all([
  serve({ '/dist/': DIST, '/': HERE }),
  startServer(),
  launch(),
]);
const page = await browser.newPage();
page.on('console', (message) => console.error(`[page] ${message.text()}`));
await page.goto(site.url);
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
for (const direction of DIRECTIONS) for (const name of ['worker', 'page']) reportRate(direction, name);
console.log(`\nCPU seconds for each GB\n\n| | ${[...PARTS, 'sum'].join(' | ')} |\n|${'---|'.repeat(PARTS.length + 2)}`);
for (const direction of DIRECTIONS) for (const name of NAMES) reportCpu(direction, name);
for (const direction of DIRECTIONS) {
  const all = NAMES.map((name) => `${name} ${rates(direction, name).map((rate) => rate.toFixed(0)).join(' ')}`);
  console.log(`\n${direction}: ${all.join('; ')}`);
}
await browser.close();
process.exit(0);
