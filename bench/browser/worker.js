/** Raw WebTransport in a worker: opens a session, then makes the transfers that it is asked for. */
import { transfer } from './transfer.js';

let transport;

onmessage = async ({ data: { url, hash, direction, bytes } }) => {
  if (!transport) {
    transport = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }] });
    postMessage(await transport.ready);
  } else {
    postMessage(await transfer(await transport.createBidirectionalStream(), direction, bytes));
  }
};
