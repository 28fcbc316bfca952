/** How sessions are opened, and how that fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

/** Runs in the page: opens a session and sends something there and back. */
const exchange = async ({ urls, options }) => {
  const { ask, open, readAll } = globalThis.tests;
  const session = await open(urls, options);
  const { readable, writer } = await ask(session, { echo: {} });
  writer.write(new TextEncoder().encode('hello'));
  writer.close();
  const text = new TextDecoder().decode(await readAll(readable));
  return { text, paths: session.paths.map(({ url, state }) => ({ url, state })) };
};

/** Runs in the page: how opening a session fails. */
const failure = async ({ urls, options }) => {
  const { failureOf, Kwik } = globalThis.tests;
  const session = new Kwik(urls, options);
  return { ready: await failureOf(session.ready), closed: await failureOf(session.closed) };
};

const withoutPin = (url) => url.replace(/\?.*/, '');

test('a session is opened with the pin of the URL', async () => {
  const { urls } = await rig.listen();
  const { text, paths } = await rig.run(exchange, { urls: urls[0] });
  assert.equal(text, 'hello');
  assert.equal(paths.length, 1);
  assert.equal(paths[0].state, 'active');
});

test('a session is opened with a hash in the options, as with WebTransport', async () => {
  const { urls, pin } = await rig.listen();
  const text = await rig.run(
    async ({ url, pin }) => {
      const { open, download } = globalThis.tests;
      const value = Uint8Array.from(pin, (character) => character.charCodeAt(0));
      const session = await open(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
      return download(session, { bytes: 1000 });
    },
    { url: withoutPin(urls[0]), pin: Buffer.from(pin, 'base64url').toString('latin1') },
  );
  assert.deepEqual(text, { bytes: 1000, isIntact: true });
});

test('each of several URLs becomes a path', async () => {
  const { urls } = await rig.listen({ lines: 3 });
  const { text, paths } = await rig.run(exchange, { urls });
  assert.equal(text, 'hello');
  assert.equal(new Set(paths.map(({ url }) => url)).size, 3);
  assert.ok(paths.every(({ state }) => state === 'active'));
});

test('the first address is silent: the next one opens the session', async () => {
  const { server, urls } = await rig.listen({ lines: 2 });
  await rig.command({ do: 'silence', server, line: 0 });
  const text = await rig.run(
    async (urls) => {
      const { Kwik, download } = globalThis.tests;
      const session = new Kwik(urls, { handshakeTimeout: 1000 });
      await session.ready;
      return download(session, { bytes: 1000 });
    },
    urls,
  );
  assert.deepEqual(text, { bytes: 1000, isIntact: true });
});

/** Sessions that cannot be opened end with one error, whoever asks. */
async function assertUnreachable(urls, options) {
  const { ready, closed } = await rig.run(failure, { urls, options });
  assert.equal(ready.name, 'WebTransportError');
  assert.equal(ready.source, 'session');
  assert.match(ready.message, /the server could not be reached/);
  assert.deepEqual(closed, ready);
}

test('a wrong pin is an error that names the server', async () => {
  const { urls } = await rig.listen();
  const wrong = Buffer.alloc(32, 7).toString('base64url');
  await assertUnreachable(`${withoutPin(urls[0])}?pin=${wrong}`);
});

test('a certificate that nobody trusts and nobody pinned is an error', async () => {
  const { urls } = await rig.listen();
  await assertUnreachable(withoutPin(urls[0]));
});

test('a server that does not answer is an error', async () => {
  const { server, urls } = await rig.listen();
  await rig.command({ do: 'silence', server });
  await assertUnreachable(urls, { handshakeTimeout: 1000 });
});

test('a page of an origin that the server does not want is refused', async () => {
  const { urls } = await rig.listen({ allowedOrigins: ['https://elsewhere.example'] });
  await assertUnreachable(urls);
});

test('a page of an origin that the server names is let in', async () => {
  const { urls } = await rig.listen({ allowedOrigins: ['https://elsewhere.example', rig.site.url] });
  const { text } = await rig.run(exchange, { urls });
  assert.equal(text, 'hello');
});

test('a server that is full refuses a session, and takes the next one when there is room', async () => {
  const { server, urls } = await rig.listen({ maxSessions: 1 });
  const outcome = await rig.run(
    async ({ server, urls }) => {
      const { control, failureOf, Kwik, open } = globalThis.tests;
      const first = await open(urls);
      const second = new Kwik(urls);
      const refusal = await failureOf(second.ready);
      first.close();
      await first.closed;
      await control({ do: 'closed', server, session: 0 });
      const third = await open(urls);
      return { refusal, paths: third.paths.length };
    },
    { server, urls },
  );
  assert.equal(outcome.refusal.name, 'WebTransportError');
  assert.equal(outcome.refusal.source, 'session');
  assert.match(outcome.refusal.message, /too many sessions/i);
  assert.equal(outcome.paths, 1);
});

test('a page that asks for any other path of the server is refused', async () => {
  const { urls, pin } = await rig.listen();
  const outcome = await rig.run(
    async ({ origin, pin }) => {
      const value = Uint8Array.from(pin, (character) => character.charCodeAt(0));
      const options = { serverCertificateHashes: [{ algorithm: 'sha-256', value }] };
      const outcome = async (path) => {
        const transport = new WebTransport(origin + path, options);
        transport.closed.catch(() => {});
        return transport.ready.then(() => 'open', (error) => error.name);
      };
      return [await outcome('/.well-known/kwik/1'), await outcome('/elsewhere'), await outcome('/')];
    },
    { origin: withoutPin(urls[0]).replace('kwik:', 'https:'), pin: Buffer.from(pin, 'base64url').toString('latin1') },
  );
  assert.deepEqual(outcome, ['open', 'WebTransportError', 'WebTransportError']);
});
