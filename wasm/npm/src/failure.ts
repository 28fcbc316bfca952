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

const crashes = new WeakSet<Error>();

/** Ends the worker: an error that nobody catches is what the pool learns of. */
export function crash(error: unknown): void {
  if (error instanceof Error) crashes.add(error);
  setTimeout(() => {
    throw error;
  });
}

/** Whether an error that nobody caught is one of those. */
export function isCrash(error: unknown): boolean {
  return error instanceof Error && crashes.has(error);
}
