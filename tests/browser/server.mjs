/** The test server's process: see `server/src/command.rs` for what it can be told. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { programOf } from './programs.mjs';

export function startServer() {
  const program = programOf('kwik-browser-test-server', 'kwik-browser-test-server');
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map();
  let last = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer, error } = JSON.parse(line);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(`test server: ${error}`));
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  ended.then(() => {
    for (const { reject } of waiting.values()) reject(new Error('the test server has ended'));
  });
  return {
    /** Tells it to do something, and waits until that is done. */
    command: (command) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ id: last, ...command })}\n`);
      }),
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
