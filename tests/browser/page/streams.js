const SHA256_BYTES = 32;
const CHUNK_BYTES = 64 * 1024;

export async function sha256(data) {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Pseudo-random bytes (xorshift32), the same each time. */
export function randomBytes(bytes) {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

/** Opens a bidirectional stream that does what is asked for; see `server/src/behaviour.rs`. */
export async function ask(session, request) {
  const { readable, writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(requestLine(request));
  return { readable, writer };
}

export const requestLine = (request) => new TextEncoder().encode(`${JSON.stringify(request)}\n`);

/** All chunks up to the end of a stream. `onProgress` is told how many bytes there are so far. */
export async function readAll(readable, onProgress = () => {}) {
  const chunks = [];
  let bytes = 0;
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    chunks.push(value);
    bytes += value.byteLength;
    onProgress(bytes);
  }
}

/** Downloads this much, and says whether it is what the server sent. */
export async function download(session, { bytes, seed = 1, name, onProgress }) {
  const { readable, writer } = await ask(session, { name, source: { bytes, seed } });
  const closed = writer.close();
  const data = await readAll(readable, onProgress);
  await closed;
  const sum = Array.from(data.subarray(-SHA256_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const content = data.subarray(0, -SHA256_BYTES);
  return { bytes: content.byteLength, isIntact: sum === (await sha256(content)) };
}

/** Uploads this much, and says whether the server got it. */
export async function upload(session, { bytes, name, data = randomBytes(bytes), onProgress = () => {} }) {
  const { readable, writer } = await ask(session, { name, sink: {} });
  for (let at = 0; at < data.byteLength; at += CHUNK_BYTES) {
    await writer.ready;
    writer.write(data.subarray(at, at + CHUNK_BYTES)).catch(() => {});
    onProgress(at);
  }
  await writer.close();
  const answer = JSON.parse(new TextDecoder().decode(await readAll(readable)));
  return { bytes: answer.bytes, isIntact: answer.sha256 === (await sha256(data)) };
}

/** The next stream that the server opens. */
export async function incoming(streams) {
  const reader = streams.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value;
}
