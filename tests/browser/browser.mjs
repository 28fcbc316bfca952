/** Headless browsers and the site that they look at. */
import { createServer } from 'node:http';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FIREFOX = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.map': 'application/json' };

/** What the npm package publishes. */
export const DIST = fileURLToPath(new URL('../../wasm/npm/dist/', import.meta.url));

export function launch() {
  const executablePath = process.env.CHROMIUM ?? CHROMIUM.find(existsSync);
  if (!executablePath) throw new Error('no Chromium: install it (Debian: chromium), or name it in CHROMIUM');
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
  return chromium.launch({ executablePath, headless: true, args });
}

/** Where Firefox is; `undefined` if it is not installed. */
export const firefoxPath = process.env.FIREFOX ?? FIREFOX.find(existsSync);

/** The pages of both browsers have the members that the tests use: `goto`, `evaluate`, `on`, `close`. */
export function launchFirefox() {
  return puppeteer.launch({ browser: 'firefox', executablePath: firefoxPath, headless: true });
}

/**
 * Serves directories, each below its path, and an empty page for everything else, on a port of its own. What is posted
 * to `/control` is the argument of `control`, in JSON, and so is what that returns.
 */
export async function serve(directories, control) {
  const mounts = Object.entries(typeof directories === 'string' ? { '/': directories } : directories);
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    if (request.method === 'POST') return answer(request, response, control);
    const [path, directory] = mounts.find(([path]) => pathname.startsWith(path));
    try {
      const body = await readFile(join(directory, normalize(pathname.slice(path.length))));
      response.writeHead(200, { 'content-type': TYPES[extname(pathname)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>KWIK</title>');
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

async function answer(request, response, control) {
  try {
    const body = Buffer.concat(await request.toArray());
    response.writeHead(200).end(JSON.stringify(await control(JSON.parse(body))));
  } catch (error) {
    response.writeHead(500).end(error.message);
  }
}
