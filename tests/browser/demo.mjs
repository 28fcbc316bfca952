/** The program `kwik`, with its demonstration. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { programOf } from './programs.mjs';

/** Runs `kwik demo --web` on a free port, with the page that is inside the program. */
export async function startDemo() {
  const child = spawn(programOf('kwik', 'kwik-cli'), ['demo', '--web', '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [url] = /http:\/\/\S+/.exec(line) ?? [];
      if (url) resolve(url);
    });
    ended.then((code) => reject(new Error(`kwik demo --web has ended with ${code}`)));
  });
  return {
    url,
    close: async () => {
      child.kill('SIGINT');
      await ended;
    },
  };
}
