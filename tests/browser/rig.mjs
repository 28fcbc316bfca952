/** What every test needs: a browser, a site with the package and the tests' own scripts, and the test server. */
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DIST, launch, serve } from './browser.mjs';
import { startServer } from './server.mjs';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));
/** Longer than any situation takes, so that one that hangs fails, and the next one has its turn. */
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 120_000);

/** For all tests of a file. Each test asks for servers and pages of its own. */
export function useRig(launchBrowser = launch) {
  const rig = {
    /** Starts a server of KWIK: `{server, pin, urls, direct}`. */
    listen: (options = {}) => rig.server.command({ do: 'listen', ...options }),
    command: (command) => rig.server.command(command),
    /** Runs a function in a page of its own, which has `window.tests`: the exports of `page/index.js`. */
    run: (situation, argument) => run(rig, situation, argument),
  };
  before(async () => {
    rig.server = startServer();
    rig.site = await serve({ '/page/': PAGE, '/': DIST }, (command) => rig.server.command(command));
    rig.browser = await launchBrowser();
  });
  after(async () => {
    await rig.browser?.close();
    await rig.site?.close();
    await rig.server?.close();
  });
  return rig;
}

async function run({ browser, site }, situation, argument) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  try {
    await page.goto(site.url);
    await page.evaluate(async () => {
      globalThis.tests = await import('/page/index.js');
    });
    return await patiently(page.evaluate(situation, argument));
  } catch (error) {
    error.message += said.map((line) => `\n  [page] ${line}`).join('');
    throw error;
  } finally {
    await page.close();
  }
}

async function patiently(situation) {
  let timer;
  const impatience = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it hangs: nothing after ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([situation, impatience]);
  } finally {
    clearTimeout(timer);
    // It fails when its page is closed.
    situation.catch(() => {});
  }
}
