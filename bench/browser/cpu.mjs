/** CPU time by process, as Linux tells it: on few cores it says more than rates do, and is less noisy. */
import { readdirSync, readFileSync } from 'node:fs';

/** What a process or a thread does, by its command line or its name. */
const PROCESSES = [
  ['server', /browser-serve/],
  ['network process', /NetworkService/],
  ['renderer', /--type=renderer/],
  ['other', /--type=|chrom/],
];
const THREADS_OF_RENDERER = [
  ['channel', /^Chrome_ChildIO/],
  ['worker', /^DedicatedWorker/],
  ['page', /^chrom|^CrRendererMain/],
];

/** All that is told apart. */
export const PARTS = PROCESSES.flatMap(([kind]) =>
  kind === 'renderer' ? THREADS_OF_RENDERER.map(([part]) => part) : [kind],
);

/** CPU seconds so far, by what spent them; nothing where there is no /proc. */
export function cpuSeconds() {
  const seconds = new Map();
  for (const process of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const kind = named(PROCESSES, read(`/proc/${process}/cmdline`));
    if (!kind) continue;
    for (const thread of list(`/proc/${process}/task`)) {
      const path = `/proc/${process}/task/${thread}`;
      const part = kind === 'renderer' ? (named(THREADS_OF_RENDERER, read(`${path}/comm`)) ?? 'other') : kind;
      const nanoseconds = Number(read(`${path}/schedstat`).split(' ')[0]);
      seconds.set(part, (seconds.get(part) ?? 0) + nanoseconds / 1e9);
    }
  }
  return seconds;
}

/** What was spent between two looks; a process that has ended meanwhile counts as nothing. */
export function difference(before, after) {
  return new Map(Array.from(after, ([part, seconds]) => [part, Math.max(0, seconds - (before.get(part) ?? 0))]));
}

const named = (names, text) => names.find(([, pattern]) => pattern.test(text))?.[0];

function list(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Processes and threads may end while they are looked at. */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
