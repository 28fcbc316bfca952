/** Raw WebTransport, in a worker of its own. */
import { transfer } from './transfer.js';

onmessage = async ({ data: { url, value, direction, bytes } }) => {
  const transport = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
  await transport.ready;
  const rate = await transfer(await transport.createBidirectionalStream(), direction, bytes);
  transport.close();
  postMessage(rate);
};
