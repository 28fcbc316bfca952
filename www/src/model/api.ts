/** The HTTP API of `kwik demo --web`. It works while every line is cut, being no part of the session. */

import type { Line } from '../logic/rows.js';

const TIMEOUT_MS = 4000;

export interface Demo {
  version: string;
  lines: Line[];
  max_lines: number;
  /** The file to fetch, unless another size is wanted. */
  file: NoiseFile;
  files?: NoiseFile[];
}

export interface NoiseFile {
  name: string;
  size: number;
}

/** The demo server could not be asked, or said no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  /** `isRefusal`: it answered, and said no. */
  constructor(
    message: string,
    readonly isRefusal: boolean,
  ) {
    super(message);
  }
}

export const api = {
  demo: () => call<Demo>('GET', 'api/demo'),
  addLine: () => call<Line>('POST', 'api/lines'),
  cut: (line: number) => call<Line>('POST', `api/lines/${line}/cut`),
  restore: (line: number) => call<Line>('POST', `api/lines/${line}/restore`),
  cutAll: (seconds: number) =>
    call<{ lines: Line[]; restored_in_ms: number }>('POST', 'api/lines/cut-all', { seconds }),
};

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const request: RequestInit = { method, signal: AbortSignal.timeout(TIMEOUT_MS), cache: 'no-store' };
  if (body) {
    request.body = JSON.stringify(body);
    request.headers = { 'content-type': 'application/json' };
  }
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(new URL(path, document.baseURI), request);
    answer = await response.json();
  } catch {
    throw new ApiError('The demo server does not answer.', false);
  }
  if (response.ok) return answer as T;
  const { error = `status ${response.status}` } = answer as { error?: string };
  throw new ApiError(`The demo server refused: ${error}`, true);
}
