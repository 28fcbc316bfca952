/** One end of a session in a worker: raw WebTransport's or KWIK's. Opens it, then makes the transfers that it is asked for. */
import { Kwik } from '/dist/here.js';
import { transfer } from './transfer.js';

const dial = { '?kwik': ({ kwik }) => new Kwik(kwik), '?raw': dialRaw }[location.search];
let session;

onmessage = async ({ data }) => {
  if (!session) {
    session = dial(data);
    postMessage(await session.ready);
  } else {
    postMessage(await transfer(await session.createBidirectionalStream(), data.direction, data.bytes));
  }
};

function dialRaw({ raw, pin }) {
  const value = Uint8Array.from(atob(pin.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  return new WebTransport(raw, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
}
