/** `kwik demo --web`, as somebody uses it: its page is clicked through while its lines are cut. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch } from './browser.mjs';
import { startDemo } from './demo.mjs';
import { keep } from './artifacts.mjs';

const PATIENCE = { timeout: Number(process.env.PATIENCE_MS ?? 90_000) };

let demo;
let browser;

before(async () => {
  browser = await launch();
});

beforeEach(async () => {
  demo = await startDemo();
});

afterEach(() => demo.close());

after(() => browser?.close());

/** The page in a window of its own, once its session is open and has a path over each of the first two lines. */
async function openPage(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  await page.goto(demo.url);
  await reaches(page, 'connect-state', 'open');
  await reaches(page, 'line-0-state', 'active');
  await reaches(page, 'line-1-state', 'active');
  return page;
}

/** Waits until a part of the page is in a state. */
const reaches = (page, part, state) => page.locator(`[data-testid="${part}"][data-state="${state}"]`).waitFor();
/** Waits until one of these events is in the log. */
const happens = (page, ...events) => {
  const wanted = events.map((event) => `[data-testid="log"] [data-event="${event}"]`);
  return page.locator(wanted.join()).first().waitFor();
};
/** A path's silence is noticed, by the page or by the server, which says so on another path. */
const isMissed = (page) => happens(page, 'pathsuspect', 'pathlost');
const press = (page, part) => page.getByTestId(part).click();
const textOf = (page, part) => page.getByTestId(part).textContent();

/** Waits until a transfer is done so far. */
const progresses = (page, share) =>
  page.waitForFunction((share) => document.querySelector('[data-testid="transfer-progress"]').value >= share, share);

/** Of the first two lines, the one that has carried more: its cut is noticed. */
async function busierLine(page) {
  const carried = await Promise.all([0, 1].map((line) => textOf(page, `line-${line}-carried`)));
  const [first, second] = carried.map((text) => parseFloat(text) * { B: 1, kB: 1e3, MB: 1e6 }[text.split(/\s/).at(-1)]);
  return first >= second ? 0 : 1;
}

async function assertEqualSums(page) {
  await page.locator('[data-testid="transfer-status"]:not([data-state="running"])').waitFor();
  assert.equal(await page.getByTestId('transfer-status').getAttribute('data-state'), 'done');
  const here = await textOf(page, 'sum-page');
  assert.match(here, /^[0-9a-f]{64}$/);
  assert.equal(await textOf(page, 'sum-server'), here);
  assert.equal(await textOf(page, 'transfer-sum'), 'equal');
}

test('a download of 100 MB survives a line that is cut, and then a cut of all lines', async () => {
  const page = await openPage();
  await press(page, 'download');
  await progresses(page, 0.1);
  await press(page, `line-${await busierLine(page)}-cut`);
  await isMissed(page);
  assert.equal(await page.getByTestId('transfer-status').getAttribute('data-state'), 'running');
  await press(page, 'cut-all');
  await happens(page, 'suspended');
  await happens(page, 'resumed');
  await assertEqualSums(page);
  // The end of the cut of all lines is the end of every cut.
  await reaches(page, 'line-0-state', 'active');
  await reaches(page, 'line-1-state', 'active');
  await keep(page, 'after-the-cuts');
  await page.context().close();
});

test('an upload of 100 MB survives a line that is cut', async () => {
  const page = await openPage();
  await press(page, 'upload');
  await progresses(page, 0.2);
  const line = await busierLine(page);
  await press(page, `line-${line}-cut`);
  await isMissed(page);
  await press(page, `line-${line}-restore`);
  await assertEqualSums(page);
  await reaches(page, `line-${line}-state`, 'active');
  await page.context().close();
});

test('a file of ones own is uploaded', async () => {
  const page = await openPage();
  const buffer = Buffer.alloc(3_000_000, 'some of my own bytes ');
  await page.getByTestId('upload-file').setInputFiles({ name: 'mine.bin', mimeType: 'text/plain', buffer });
  await assertEqualSums(page);
  await page.context().close();
});

test('pings and datagrams come back, and are counted', async () => {
  const page = await openPage();
  await press(page, 'ping-start');
  await press(page, 'datagram-start');
  const counts = (part, least) =>
    page.waitForFunction(
      ([part, least]) => Number(document.querySelector(`[data-testid="${part}"]`).textContent.replace(/\D/g, '')) >= least,
      [part, least],
    );
  await counts('ping-count', 50);
  await counts('datagram-returned', 50);
  await press(page, 'ping-start');
  await press(page, 'datagram-start');
  for (const part of ['ping-p50', 'ping-p99', 'ping-max', 'datagram-rtt']) assert.match(await textOf(page, part), /ms/);
  await page.context().close();
});

test('a line is added and carries a path; a second session runs in a worker of its own', async () => {
  const page = await openPage();
  await press(page, 'add-line');
  await reaches(page, 'line-2-state', 'active');
  await press(page, 'second-session');
  await page.waitForFunction(() => document.querySelectorAll('[data-testid="workers"] [data-state="busy"]').length === 2);
  await page.context().close();
});

test('everything can be done with the keyboard', async () => {
  const page = await openPage();
  const tabTo = async (part) => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate(() => document.activeElement?.dataset.testid)) === part) return;
    }
    assert.fail(`the keyboard does not get to ${part}`);
  };
  await tabTo('line-0-cut');
  await page.keyboard.press('Enter');
  await page.getByTestId('line-0-restore').waitFor();
  await page.keyboard.press('Enter');
  await reaches(page, 'line-0-state', 'active');
  await tabTo('download');
  await page.keyboard.press('Enter');
  await assertEqualSums(page);
  await page.context().close();
});

test('the theme follows the system, or the button, and is remembered', async () => {
  const page = await openPage({ colorScheme: 'dark' });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await press(page, 'theme-toggle');
  const light = await background();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await background(), light);
  await press(page, 'theme-toggle');
  assert.equal(await background(), dark);
  await page.context().close();
});

test('a browser without WebTransport is told so', async () => {
  const page = await browser.newPage();
  await page.addInitScript(() => delete globalThis.WebTransport);
  await page.goto(demo.url);
  await page.getByTestId('unsupported').waitFor({ state: 'visible' });
  assert.equal(await page.getByTestId('demo').isVisible(), false);
  await page.close();
});

const SCREENS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

for (const [screen, viewport] of Object.entries(SCREENS)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the page fits a ${screen} in ${colorScheme} colours`, async () => {
      const page = await openPage({ viewport, colorScheme });
      await press(page, 'ping-start');
      await press(page, 'download');
      await assertEqualSums(page);
      const overhang = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overhang <= 0, `${overhang} pixels are to be scrolled to`);
      await keep(page, `${screen}-${colorScheme}`);
      await page.context().close();
    });
  }
}
