/**
 * A small application as somebody would write it for `WebTransport`, without a thought of KWIK. Its server sends
 * everything back, and says hello on a stream of its own.
 */
export async function application(Transport, url, options) {
  const transport = new Transport(url, options);
  await transport.ready;
  const outcome = {
    greeting: await greeting(transport),
    echo: await echo(transport, 'one two three'),
    piped: await piped(transport),
    letter: await letter(transport, 'dear server'),
    datagram: await datagram(transport, 'ping'),
    aborted: await aborted(transport),
    canRead: transport.datagrams.maxDatagramSize > 0,
  };
  transport.close({ closeCode: 17, reason: 'done' });
  return { ...outcome, closed: await transport.closed, late: await late(transport) };
}

const encoder = new TextEncoder();

const text = (readable) => new Response(readable).text();

async function greeting(transport) {
  const reader = transport.incomingBidirectionalStreams.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  value.writable.close();
  return text(value.readable);
}

async function echo(transport, words) {
  const { readable, writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  for (const word of words.split(' ')) {
    await writer.ready;
    writer.write(encoder.encode(word));
  }
  await writer.close();
  return text(readable);
}

/** A blob goes through a pipe, and comes back to a reader with a buffer of its own. */
async function piped(transport) {
  const { readable, writable } = await transport.createBidirectionalStream();
  new Blob([new Uint8Array(300_000).fill(7)]).stream().pipeTo(writable);
  const reader = readable.getReader({ mode: 'byob' });
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(50_000));
    if (done) return bytes;
    if (value.some((byte) => byte !== 7)) return 'something else';
    bytes += value.byteLength;
  }
}

async function letter(transport, words) {
  const writer = (await transport.createUnidirectionalStream()).getWriter();
  writer.write(encoder.encode(words));
  writer.close();
  const { value } = await transport.incomingUnidirectionalStreams.getReader().read();
  return text(value);
}

async function datagram(transport, words) {
  const writer = transport.datagrams.writable.getWriter();
  const reading = transport.datagrams.readable.getReader().read();
  let isBack = false;
  reading.then(() => (isBack = true));
  while (!isBack) await writer.write(encoder.encode(words));
  return new TextDecoder().decode((await reading).value);
}

async function aborted(transport) {
  const { writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.abort(new Error('changed my mind'));
  return writer.closed.catch((error) => error.message);
}

async function late(transport) {
  return transport.createBidirectionalStream().then(
    () => 'open',
    (error) => error instanceof DOMException,
  );
}
