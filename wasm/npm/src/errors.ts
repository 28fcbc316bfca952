import type { Failure } from './protocol.js';

/** What `WebTransportError` is made with (W3C WebTransport, WebTransportErrorOptions). */
export interface KwikErrorOptions {
  source?: 'stream' | 'session';
  streamErrorCode?: number | null;
  cause?: unknown;
}

/**
 * The errors of sessions and streams: the browser's own `WebTransportError` where there is one, so that code which
 * asks for that finds it.
 */
class FallbackError extends DOMException {
  readonly source: 'stream' | 'session';
  readonly streamErrorCode: number | null;

  constructor(message = '', options: KwikErrorOptions = {}) {
    super(message, 'WebTransportError');
    this.source = options.source ?? 'stream';
    this.streamErrorCode = options.streamErrorCode ?? null;
  }
}

export type KwikError = DOMException & {
  readonly source: 'stream' | 'session';
  readonly streamErrorCode: number | null;
};

type KwikErrorConstructor = new (message?: string, options?: KwikErrorOptions) => KwikError;

export const KwikError: KwikErrorConstructor =
  (globalThis as { WebTransportError?: KwikErrorConstructor }).WebTransportError ?? FallbackError;

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

/** The code that an application gave with the reason for an abort or a cancellation; 0 if it gave none. */
export function codeOf(reason: unknown): number {
  const code = (reason as { streamErrorCode?: unknown } | undefined)?.streamErrorCode;
  return typeof code === 'number' ? code : 0;
}
