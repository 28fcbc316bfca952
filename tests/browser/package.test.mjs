/** The tarball that is published, in an empty project: with Vite, with webpack, and from a plain module script. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launch, serve } from './browser.mjs';

const PACKAGE = fileURLToPath(new URL('../../wasm/npm/', import.meta.url));
const PAGE = '<!doctype html><script type="module" src="./main.js"></script>';
const run = promisify(execFile);

let project;
let browser;

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'kwik-package-'));
  const tarball = (await readdir(PACKAGE)).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball, 'there is no tarball: cargo xtask npm');
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  await writeFile(join(project, 'index.html'), PAGE);
  await writeFile(join(project, 'main.js'), "import { Kwik } from 'kwik-transport';\nwindow.Kwik = Kwik;\n");
  const packages = ['vite@8', 'webpack@5', 'webpack-cli@6', join(PACKAGE, tarball)];
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: project });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await rm(project, { recursive: true, force: true });
});

/** How dialling a server that is not there fails in a page that has `window.Kwik`: it needs worker and module. */
async function failureAt(url) {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => globalThis.Kwik);
  const message = await page.evaluate(async () => {
    const session = new globalThis.Kwik('kwik://127.0.0.1:9999', { handshakeTimeout: 5000 });
    return session.ready.catch((error) => error.message);
  });
  await page.close();
  return message;
}

async function failureOn(directory, path) {
  const site = await serve(directory);
  const message = await failureAt(`${site.url}/${path}`);
  await site.close();
  return message;
}

const isUnreachable = /the server could not be reached/;

test('Vite builds a page that finds its worker and its module', async () => {
  await run('npx', ['vite', 'build'], { cwd: project });
  assert.match(await failureOn(join(project, 'dist'), 'index.html'), isUnreachable);
});

test('webpack builds a page that finds its worker and its module', async () => {
  await run('npx', ['webpack', '--mode', 'production', '--entry', './main.js', '-o', 'packed'], { cwd: project });
  await writeFile(join(project, 'packed', 'index.html'), '<!doctype html><script src="./main.js"></script>');
  assert.match(await failureOn(join(project, 'packed'), 'index.html'), isUnreachable);
});

test('a plain module script needs nothing else', async () => {
  const script = "import { Kwik } from './node_modules/kwik-transport/dist/index.js'; window.Kwik = Kwik;";
  await writeFile(join(project, 'plain.html'), `<!doctype html><script type="module">${script}</script>`);
  assert.match(await failureOn(project, 'plain.html'), isUnreachable);
});
