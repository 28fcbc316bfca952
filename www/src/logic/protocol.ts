/** The file protocol, version 1, as cli/src/protocol.rs describes it: lines of JSON, and bytes between them. */

const VERSION = 1;
/** Longest message, its newline included. */
const MAX_LINE_BYTES = 4096;
const NEWLINE = 10;
const ECHO_MAGIC = 0x4543484f;
/** Magic, path, and a number of our own. */
const ECHO_DATAGRAM_BYTES = 20;

export type Request =
  | { get: { name: string } }
  | { put: { name: string; size: number } }
  | { echo: { path: number } };

/** What a server says, as far as this page asks. */
export interface Reply {
  sending?: { size: number; offset: number };
  ready?: object;
  sent?: { sha256: string };
  stored?: { sha256: string };
  failed?: { reason: string; message: string };
}

/** The server did not keep to the protocol, or said no. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export function encodeRequest(request: Request): Uint8Array<ArrayBuffer> {
  return encodeLine({ kwik_files: VERSION, ...request });
}

export function encodeSent(sha256: string): Uint8Array<ArrayBuffer> {
  return encodeLine({ sent: { sha256 } });
}

function encodeLine(message: object): Uint8Array<ArrayBuffer> {
  const line = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
  if (line.byteLength > MAX_LINE_BYTES) throw new ProtocolError(`a message is longer than ${MAX_LINE_BYTES} bytes`);
  return line;
}

/** The member `key` of a reply; a failure, and anything else, is thrown. */
export function expectReply<K extends keyof Reply>(line: string, key: K): NonNullable<Reply[K]> {
  let reply: Reply;
  try {
    reply = JSON.parse(line) as Reply;
  } catch {
    throw new ProtocolError(`the server's message is not understood: ${line.slice(0, 80)}`);
  }
  if (reply.failed) throw new ProtocolError(`the server refused: ${reply.failed.message}`);
  const member = reply[key];
  if (member === undefined) throw new ProtocolError(`the server said ${line.slice(0, 80)} in place of "${key}"`);
  return member;
}

/** Cuts a line off the front of what arrives, wherever the pieces end. */
export class LineCutter {
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** Takes a piece; returns the line without its newline, and what follows it, once it is complete. */
  push(piece: Uint8Array): { line: string; rest: Uint8Array } | undefined {
    const newline = piece.indexOf(NEWLINE);
    const part = newline < 0 ? piece : piece.subarray(0, newline);
    this.#held.push(part);
    this.#heldBytes += part.byteLength;
    if (this.#heldBytes >= MAX_LINE_BYTES) throw new ProtocolError(`a message is longer than ${MAX_LINE_BYTES} bytes`);
    if (newline < 0) return undefined;
    const decoder = new TextDecoder();
    const text = this.#held.map((bytes) => decoder.decode(bytes, { stream: true })).join('') + decoder.decode();
    this.#held = [];
    this.#heldBytes = 0;
    return { line: text, rest: piece.subarray(newline + 1) };
  }
}

/** A datagram that comes back on `path`. */
export function encodeEcho(path: number, token: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(ECHO_DATAGRAM_BYTES));
  view.setUint32(0, ECHO_MAGIC);
  view.setBigUint64(4, BigInt(path));
  view.setBigUint64(12, BigInt(token));
  return new Uint8Array(view.buffer);
}

/** The number in a datagram that came back; `undefined` if it is none of ours. */
export function decodeEcho(datagram: Uint8Array): number | undefined {
  if (datagram.byteLength !== ECHO_DATAGRAM_BYTES) return undefined;
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  return view.getUint32(0) === ECHO_MAGIC ? Number(view.getBigUint64(12)) : undefined;
}
