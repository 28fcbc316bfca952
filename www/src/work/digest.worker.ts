/** Computes the SHA-256 of what it is given, piece by piece; SubtleCrypto wants all of it at once. */

import { sha256 } from '@noble/hashes/sha2.js';
import { formatHex } from '../logic/format.js';
import type { FromDigest, ToDigest } from './messages.js';

const hash = sha256.create();

onmessage = ({ data }: MessageEvent<ToDigest>) => {
  if (data.type === 'end') {
    answer({ type: 'sha256', sha256: formatHex(hash.digest()) });
    return;
  }
  hash.update(data.bytes);
  answer({ type: 'taken', bytes: data.bytes.byteLength });
};

function answer(message: FromDigest): void {
  postMessage(message);
}
