/** One transfer on a bidirectional stream, whosever stream it is. */

const READ_BYTES = 128 * 1024;
const WRITE_BYTES = 64 * 1024;

/**
 * Asks for `bytes` bytes and reads them (`down`), or writes as many and waits until the server has read them (`up`).
 * The server is told how many it is to send, in eight bytes; it ends its half when it has sent those and read all.
 * Returns MB/s.
 */
export async function transfer({ readable, writable }, direction, bytes) {
  const started = performance.now();
  const writer = writable.getWriter();
  const request = new Uint8Array(8);
  new DataView(request.buffer).setBigUint64(0, BigInt(direction === 'down' ? bytes : 0));
  writer.write(request);
  if (direction === 'up') await writeAll(writer, bytes);
  const closed = writer.close();
  const received = await readAll(readable);
  await closed;
  if (direction === 'down' && received !== bytes) throw new Error(`${received} of ${bytes} bytes arrived`);
  return bytes / 1e3 / (performance.now() - started);
}

async function writeAll(writer, bytes) {
  const block = new Uint8Array(WRITE_BYTES);
  for (let left = bytes; left > 0; left -= WRITE_BYTES) {
    await writer.ready;
    writer.write(block.subarray(0, left));
  }
}

async function readAll(readable) {
  const reader = readable.getReader({ mode: 'byob' });
  let buffer = new Uint8Array(READ_BYTES);
  let received = 0;
  for (;;) {
    const { done, value } = await reader.read(buffer);
    if (done) return received;
    received += value.byteLength;
    buffer = new Uint8Array(value.buffer);
  }
}
