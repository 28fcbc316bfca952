/** What was written for `WebTransport` runs with only the constructor changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

/** Runs in the page: the application with one constructor or the other. */
const runApplication = async ({ constructor, url, hash }) => {
  const { application } = await import('/page/application.js');
  const Transport = constructor === 'Kwik' ? globalThis.tests.Kwik : globalThis.WebTransport;
  const value = Uint8Array.from(hash);
  return application(Transport, url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
};

test('an application for WebTransport does the same with Kwik', async () => {
  const raw = await rig.command({ do: 'listen-raw' });
  const kwik = await rig.listen({ application: 'echo' });
  const hash = [...Buffer.from(kwik.pin, 'base64url')];
  const url = kwik.urls[0].replace(/\?.*/, '').replace('kwik:', 'https:');
  const withWebTransport = await rig.run(runApplication, { constructor: 'WebTransport', ...raw });
  const withKwik = await rig.run(runApplication, { constructor: 'Kwik', url, hash });
  assert.equal(withWebTransport.greeting, 'hello');
  assert.deepEqual(withKwik, withWebTransport);
});
