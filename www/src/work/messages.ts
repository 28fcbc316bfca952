/** What the page and its own workers say to each other. Bytes are transferred, not copied. */

export type ToDigest = { type: 'bytes'; bytes: Uint8Array<ArrayBuffer> } | { type: 'end' };
export type FromDigest = { type: 'taken'; bytes: number } | { type: 'sha256'; sha256: string };

export type ToSource = { type: 'begin'; of: number | Blob } | { type: 'next' };
export type FromSource =
  | { type: 'bytes'; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'end'; sha256: string }
  | { type: 'failed'; message: string };
