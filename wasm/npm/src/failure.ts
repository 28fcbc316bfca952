import type { Failure } from './protocol.js';

/**
 * What the Rust side throws are plain objects. Anything else is a fault of the module itself, after which nothing in
 * it can be trusted.
 */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return error as Failure;
  crash(error);
  return { kind: 'crash', message: error.message };
}

/** Ends the worker: an error that nobody catches is what the pool learns of. */
export function crash(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}
