/** The same in Firefox, in short. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firefoxPath, launchFirefox } from './browser.mjs';
import { useRig } from './rig.mjs';

const MISSING = 'there is no Firefox: install it (Debian: firefox-esr), or name it in FIREFOX';

if (!firefoxPath) {
  console.log(`SKIPPED: ${MISSING}`);
  test('Firefox', { skip: MISSING });
} else {
  testsInFirefox(useRig(launchFirefox));
}

function testsInFirefox(rig) {
  test('Firefox: streams of both kinds from both sides', async () => {
    const { server, urls } = await rig.listen({ lines: 2 });
    const outcome = await rig.run(
      async ({ server, urls }) => {
        const { ask, control, incoming, open, readAll, requestLine } = globalThis.tests;
        const text = async (readable) => new TextDecoder().decode(await readAll(readable));
        const hello = new TextEncoder().encode('hello');
        const session = await open(urls);
        const mine = await ask(session, { name: 'mine', echo: {} });
        mine.writer.write(hello);
        mine.writer.close();
        const letter = (await session.createUnidirectionalStream()).getWriter();
        letter.write(requestLine({ name: 'letter', sink: {} }));
        letter.write(hello);
        letter.close();
        await control({ do: 'open', server, session: 0, bidirectional: true, request: { echo: {} } });
        const theirs = await incoming(session.incomingBidirectionalStreams);
        theirs.writable.getWriter().close();
        const source = { name: 'source', source: { bytes: 3 } };
        await control({ do: 'open', server, session: 0, bidirectional: false, request: source });
        const theirLetter = await incoming(session.incomingUnidirectionalStreams);
        return {
          mine: await text(mine.readable),
          theirs: await text(theirs.readable),
          letter: (await control({ do: 'outcome', server, name: 'letter' })).bytes,
          theirLetter: (await readAll(theirLetter)).byteLength - 32,
        };
      },
      { server, urls },
    );
    assert.deepEqual(outcome, { mine: 'hello', theirs: 'opened\n', letter: 5, theirLetter: 3 });
  });

  test('Firefox: 20 MB each way arrive as they were', async () => {
    const { urls } = await rig.listen({ lines: 2 });
    const outcome = await rig.run(async (urls) => {
      const { download, open, upload } = globalThis.tests;
      const session = await open(urls);
      const down = await download(session, { bytes: 20e6, name: 'down' });
      return { down, up: await upload(session, { bytes: 20e6, name: 'up' }) };
    }, urls);
    const whole = { bytes: 20e6, isIntact: true };
    assert.deepEqual(outcome, { down: whole, up: whole });
  });

  test('Firefox: datagrams come back', async () => {
    const { urls } = await rig.listen();
    const text = await rig.run(async (urls) => {
      const { open } = globalThis.tests;
      const session = await open(urls);
      const writer = session.datagrams.writable.getWriter();
      const reading = session.datagrams.readable.getReader().read();
      let isBack = false;
      reading.then(() => (isBack = true));
      while (!isBack) await writer.write(new TextEncoder().encode('ping'));
      return new TextDecoder().decode((await reading).value);
    }, urls);
    assert.equal(text, 'ping');
  });

  test('Firefox: one of two paths falls silent during a download', async () => {
    const { server, urls } = await rig.listen({ lines: 2, rateMbit: 80 });
    const outcome = await rig.run(
      async ({ server, urls }) => {
        const { control, download, open, watch } = globalThis.tests;
        const session = await open(urls);
        const events = watch(session);
        let cut;
        const onProgress = (bytes) => {
          if (bytes >= 5e6) cut ??= control({ do: 'silence', server, line: 0 });
        };
        const outcome = await download(session, { bytes: 20e6, name: 'down', onProgress });
        await events.next('pathlost');
        return outcome;
      },
      { server, urls },
    );
    assert.deepEqual(outcome, { bytes: 20e6, isIntact: true });
  });

  test('Firefox: streams end with their codes, and so does the session', async () => {
    const { server, urls } = await rig.listen();
    const outcome = await rig.run(
      async ({ server, urls }) => {
        const { ask, control, failureOf, open, readAll } = globalThis.tests;
        const session = await open(urls);
        const reset = await ask(session, { name: 'reset', reset: { code: 33 } });
        const stopped = await ask(session, { name: 'stopped', stop: { code: 34 } });
        const codes = [
          (await failureOf(readAll(reset.readable))).streamErrorCode,
          (await failureOf(stopped.writer.closed)).streamErrorCode,
        ];
        await control({ do: 'close', server, session: 0, code: 42, reason: 'good night' });
        return { codes, closed: await session.closed };
      },
      { server, urls },
    );
    assert.deepEqual(outcome, { codes: [33, 34], closed: { closeCode: 42, reason: 'good night' } });
  });
}
