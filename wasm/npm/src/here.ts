/** KWIK for threads that are workers already, or have none to give: its sessions run in the thread that makes them. */
import { type KwikOptions, KwikSession, type KwikUrls } from './session.js';
import { load } from './start.js';
import { ThisThread } from './thread.js';

export * from './types.js';

const here = new ThisThread(load);

/** A session that runs in the thread which makes it: nothing is handed from thread to thread. */
export class Kwik extends KwikSession {
  constructor(urls: KwikUrls, options: KwikOptions = {}) {
    super(urls, options, here);
  }
}
