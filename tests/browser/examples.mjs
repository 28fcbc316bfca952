/** The examples as servers: `cargo run --example NAME -- serve`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Starts the server of one, which prints as many addresses as it has. */
export async function startExample(example, addresses) {
  const command = ['run', '--quiet', '--example', example, '--', 'serve'];
  const server = spawn('cargo', command, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const urls = [];
  while (urls.length < addresses) {
    const { value, done } = await lines.next();
    assert.ok(!done, `the server of ${example} did not start`);
    urls.push(value);
  }
  // Whatever it says later is not waited for.
  server.stdout.resume();
  return { urls, close: () => server.kill() };
}
