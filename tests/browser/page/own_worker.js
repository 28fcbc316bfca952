/** An application's own worker, in which its sessions run. */
import { Kwik } from '/here.js';
import { control } from './control.js';
import { open, watch } from './session.js';
import { download, upload } from './streams.js';

/** Nobody needs another worker here. */
globalThis.Worker = class {
  constructor() {
    throw new Error('another worker was started');
  }
};

/** Downloads, while one of two lines is cut, then uploads, and closes. */
onmessage = async ({ data: { server, urls, bytes } }) => {
  const session = await open(urls, {}, Kwik);
  const events = watch(session);
  let cut;
  const onProgress = (done) => {
    if (done >= bytes / 3) cut ??= control({ do: 'silence', server, line: 0 });
  };
  const [down] = await Promise.all([
    download(session, { bytes, name: 'down', onProgress }),
    // Not always suspect before: the server may notice first, and say so on the other path.
    events.next('pathlost'),
  ]);
  await cut;
  const up = await upload(session, { bytes, name: 'up' });
  session.close({ closeCode: 5, reason: 'done' });
  postMessage({ down, up, closed: await session.closed });
};
