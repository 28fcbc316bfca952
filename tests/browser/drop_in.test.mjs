/** What was written for `WebTransport` runs with only the constructor changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRig } from './rig.mjs';

const rig = useRig();

/** Runs in the page: the application with one constructor or the other. */
const runApplication = async ({ constructor, url, hash }) => {
  const { application } = await import('/page/application.js');
  const { Kwik } = constructor === 'Kwik here' ? await import('/here.js') : globalThis.tests;
  const Transport = constructor === 'WebTransport' ? globalThis.WebTransport : Kwik;
  const value = Uint8Array.from(hash);
  return application(Transport, url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
};

test('an application for WebTransport does the same with Kwik', async () => {
  const raw = await rig.command({ do: 'listen-raw' });
  const kwik = await rig.listen({ application: 'echo' });
  const hash = [...Buffer.from(kwik.pin, 'base64url')];
  const url = kwik.urls[0].replace(/\?.*/, '').replace('kwik:', 'https:');
  const withWebTransport = await rig.run(runApplication, { constructor: 'WebTransport', ...raw });
  assert.equal(withWebTransport.greeting, 'hello');
  for (const constructor of ['Kwik', 'Kwik here']) {
    assert.deepEqual(await rig.run(runApplication, { constructor, url, hash }), withWebTransport, constructor);
  }
});
