import { Kwik } from '/index.js';

/** An open session, of this class. With several URLs, all of their paths are there. */
export async function open(urls, options, Session = Kwik) {
  const session = new Session(urls, options);
  const events = watch(session);
  await session.ready;
  const wanted = Array.isArray(urls) ? urls.length : 1;
  for (let added = 1; added < wanted; added += 1) await events.next('pathadded', added);
  return session;
}

const TYPES = ['pathadded', 'pathsuspect', 'pathlost', 'pathrecovered', 'pathadvised', 'suspended', 'resumed'];

/** Keeps the events of a session. */
export function watch(session) {
  const seen = [];
  const arrivals = new EventTarget();
  for (const type of TYPES) {
    session.addEventListener(type, ({ path, detail }) => {
      seen.push({ type, path, detail });
      arrivals.dispatchEvent(new Event(type));
    });
  }
  const ofType = (type) => seen.filter((event) => event.type === type);
  return {
    seen,
    /** The first event of this type, or the `count`th one: it may have happened already. */
    async next(type, count = 1) {
      while (ofType(type).length < count) {
        await new Promise((resolve) => arrivals.addEventListener(type, resolve, { once: true }));
      }
      return ofType(type)[count - 1];
    },
  };
}

/** How a promise is rejected, in a form that leaves the page. */
export async function failureOf(promise) {
  try {
    await promise;
    return 'none';
  } catch (error) {
    const { name, message, source, streamErrorCode } = error;
    return { name, message, source, streamErrorCode };
  }
}
