import type { Failure } from './protocol.js';

/** What `WebTransportError` is made with (W3C WebTransport, WebTransportErrorOptions). */
export interface KwikErrorOptions {
  source?: 'stream' | 'session';
  streamErrorCode?: number | null;
}

type Base = new (...args: unknown[]) => DOMException;

const browsers = (globalThis as { WebTransportError?: Base }).WebTransportError;

/** What a varint carries is less than this (RFC 9000 section 16); the server's largest code is rounded up to it. */
const CODE_END = 2 ** 62;

function isCode(code: unknown): code is number {
  return Number.isInteger(code) && (code as number) >= 0 && (code as number) <= CODE_END;
}

/** The code itself, if it is one that can be sent. */
export function checkedCode(name: string, code: number): number {
  if (!isCode(code)) throw new RangeError(`${name}: a whole number from 0 to 2^62 - 1`);
  return code;
}

/** Chromium (156) has the constructor of an earlier draft, which takes one object. */
function argumentsFor(message: string): unknown[] {
  if (!browsers) return [message, 'WebTransportError'];
  try {
    new browsers(message);
    return [message];
  } catch {
    return [{ message }];
  }
}

/**
 * The errors of sessions and streams. They are the browser's own `WebTransportError`s where it has them, so that code
 * which asks for those finds them; elsewhere they have the same name.
 */
export class KwikError extends (browsers ?? (DOMException as Base)) {
  declare readonly source: 'stream' | 'session';
  declare readonly streamErrorCode: number | null;

  constructor(message = '', { source = 'stream', streamErrorCode = null }: KwikErrorOptions = {}) {
    if (streamErrorCode !== null) checkedCode('streamErrorCode', streamErrorCode);
    super(...argumentsFor(message));
    // The browser's are accessors, and Chromium's constructor sets no source.
    Object.defineProperty(this, 'source', { value: source });
    Object.defineProperty(this, 'streamErrorCode', { value: streamErrorCode });
  }
}

/** The worker's failure as what the page throws. */
export function errorOf(failure: Failure): Error {
  switch (failure.kind) {
    case 'address':
      return new DOMException(failure.message, 'SyntaxError');
    case 'option':
      return new TypeError(failure.message);
    case 'closed':
      return new DOMException(failure.message, 'InvalidStateError');
    case 'stream':
      return new KwikError(failure.message, { source: 'stream', streamErrorCode: failure.code ?? null });
    case 'session':
    case 'crash':
      return new KwikError(failure.message, { source: 'session' });
  }
}

/** The code that an application gave with the reason for an abort or a cancellation; 0 if it gave none that is one. */
export function codeOf(reason: unknown): number {
  const code = (reason as { streamErrorCode?: unknown } | undefined)?.streamErrorCode;
  return isCode(code) ? code : 0;
}
