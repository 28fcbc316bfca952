/** Gives out bytes, made up or a file's, piece by piece, and in the end their SHA-256. Nothing is kept. */

import { sha256 } from '@noble/hashes/sha2.js';
import { formatHex } from '../logic/format.js';
import type { FromSource, ToSource } from './messages.js';

const PIECE_BYTES = 128 * 1024;
/** The most that `getRandomValues` fills at once. */
const RANDOM_BYTES = 64 * 1024;

const hash = sha256.create();
let pieces: AsyncIterator<Uint8Array<ArrayBuffer>> | Iterator<Uint8Array<ArrayBuffer>>;
/** Pieces are asked for ahead, and answered in order. */
let last: Promise<void> = Promise.resolve();

onmessage = ({ data }: MessageEvent<ToSource>) => {
  if (data.type === 'next') last = last.then(giveNext);
  else pieces = typeof data.of === 'number' ? madeUp(data.of) : ofFile(data.of);
};

async function giveNext(): Promise<void> {
  try {
    const { value, done } = await pieces.next();
    if (done) {
      answer({ type: 'end', sha256: formatHex(hash.clone().digest()) });
      return;
    }
    hash.update(value);
    answer({ type: 'bytes', bytes: value }, [value.buffer]);
  } catch (error) {
    answer({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
}

function* madeUp(size: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = size; left > 0; left -= PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(left, PIECE_BYTES));
    for (let at = 0; at < piece.byteLength; at += RANDOM_BYTES) {
      crypto.getRandomValues(piece.subarray(at, at + RANDOM_BYTES));
    }
    yield piece;
  }
}

async function* ofFile(file: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    yield new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
  }
}

function answer(message: FromSource, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}
