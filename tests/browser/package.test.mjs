/** The tarball that is published, in an empty project: with Vite, with webpack, and from a plain module script. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launch, serve } from './browser.mjs';
import { startExample } from './examples.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = join(ROOT, 'wasm/npm/');
const PAGE = '<!doctype html><script type="module" src="./main.js"></script>';
/** Sessions in the pool's workers, and one in the application's own. */
const MAIN = `
import { Kwik } from 'kwik-transport';
window.failures = {
  pool: async (url) => new Kwik(url).ready.catch((error) => error.message),
  own: (url) => new Promise((resolve) => {
    const worker = new Worker(new URL('./own_worker.js', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(url);
  }),
};`;
const OWN_WORKER = `
import { Kwik } from 'kwik-transport/here';
onmessage = async ({ data: url }) => postMessage(await new Kwik(url).ready.catch((error) => error.message));`;
const run = promisify(execFile);

let project;
let browser;

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'kwik-package-'));
  const tarball = (await readdir(PACKAGE)).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball, 'there is no tarball: cargo xtask npm');
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  await writeFile(join(project, 'index.html'), PAGE);
  await writeFile(join(project, 'main.js'), MAIN);
  await writeFile(join(project, 'own_worker.js'), OWN_WORKER);
  const packages = ['vite@8', 'webpack@5', 'webpack-cli@6', join(PACKAGE, tarball)];
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: project });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await rm(project, { recursive: true, force: true });
});

/** How dialling a server that is not there fails in a page that has `window.failures`: it needs script and module. */
async function failuresOn(directory, path) {
  const site = await serve(directory);
  const page = await browser.newPage();
  await page.goto(`${site.url}/${path}`);
  await page.waitForFunction(() => globalThis.failures);
  const failures = await page.evaluate(async (url) => {
    const { pool, own } = globalThis.failures;
    return [await pool(url), await own(url)];
  }, 'kwik://127.0.0.1:9999');
  await page.close();
  await site.close();
  return failures;
}

function assertUnreachable(failures) {
  for (const failure of failures) assert.match(failure, isUnreachable);
}

const isUnreachable = /the server could not be reached/;

test('Vite builds a page that finds its worker and its module', async () => {
  await run('npx', ['vite', 'build'], { cwd: project });
  assertUnreachable(await failuresOn(join(project, 'dist'), 'index.html'));
});

test('webpack builds a page that finds its worker and its module', async () => {
  await run('npx', ['webpack', '--mode', 'production', '--entry', './main.js', '-o', 'packed'], { cwd: project });
  await writeFile(join(project, 'packed', 'index.html'), '<!doctype html><script src="./main.js"></script>');
  assertUnreachable(await failuresOn(join(project, 'packed'), 'index.html'));
});

test('a plain module script needs nothing else', async () => {
  const dist = './node_modules/kwik-transport/dist';
  const plain = (script) => script.replace("'kwik-transport'", `'${dist}/index.js'`).replace('./own_', './plain_own_');
  await writeFile(join(project, 'plain.html'), `<!doctype html><script type="module">${plain(MAIN)}</script>`);
  await writeFile(join(project, 'plain_own_worker.js'), OWN_WORKER.replace('kwik-transport/here', `${dist}/here.js`));
  assertUnreachable(await failuresOn(project, 'plain.html'));
});

for (const readme of ['README.md', 'wasm/npm/README.md']) {
  test(`the page of ${readme} works as it stands there, once it has the server's address`, async () => {
    const [, text] = (await readFile(join(ROOT, readme), 'utf8')).match(/^```html\n(.*?)^```$/ms);
    const server = await startExample('pingpong', 1);
    const site = await serve(project);
    const page = await browser.newPage();
    try {
      const html = text.replace(/kwik:[^']+/, server.urls[0]);
      assert.notEqual(html, text);
      await writeFile(join(project, 'readme.html'), html);
      await page.goto(`${site.url}/readme.html`);
      await page.locator('#log', { hasText: /^hello$/ }).waitFor();
    } finally {
      await page.close();
      await site.close();
      server.close();
    }
  });
}
