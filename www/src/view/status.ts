/** The status panel: the state of the session, and a notice while it is not open. */

import type { Connection, Phase } from '../model/connection.js';
import type { Lines } from '../model/lines.js';
import type { PathMaintainer } from '../model/pathMaintainer.js';
import { part, setText } from './parts.js';

const WORDS: Record<Phase, string> = {
  waiting: 'starting',
  connecting: 'connecting',
  open: 'open',
  suspended: 'suspended',
  closed: 'closed',
  failed: 'failed',
};

/** Connecting takes milliseconds; after this long the page says that it is slow. */
const SLOW_MS = 3000;

interface Notice {
  title: string;
  text: string;
  kind: 'warn' | 'bad';
}

export function mountStatus(connection: Connection, maintainer: PathMaintainer, lines: Lines): void {
  const state = part('connect-state');
  const notice = part('session-notice');
  const again = part<HTMLButtonElement>('connect-again');

  let slow: ReturnType<typeof setTimeout> | undefined;

  const showPhase = () => {
    clearTimeout(slow);
    if (connection.phase === 'connecting') slow = setTimeout(() => showNotice(SLOW), SLOW_MS);
    state.dataset.state = connection.phase;
    setText(state, WORDS[connection.phase]);
    again.hidden = connection.isAlive;
    showNotice(noticeFor(connection));
  };
  const showNotice = (wanted: Notice | undefined) => {
    notice.hidden = !wanted;
    if (!wanted) return;
    notice.className = `notice ${wanted.kind}`;
    setText(part('session-notice-title'), wanted.title);
    setText(part('session-notice-text'), wanted.text);
  };
  const showServer = () => {
    part('api-unreachable').hidden = lines.isReachable !== false;
    if (lines.demo) {
      part('demo').hidden = false;
      setText(part('footer'), `KWIK ${lines.demo.version}`);
    }
  };
  again.addEventListener('click', () => maintainer.connect());
  connection.changed.subscribe(showPhase);
  lines.changed.subscribe(showServer);
  showPhase();
}

const SLOW: Notice = {
  kind: 'warn',
  title: 'Still connecting',
  text: 'After connections that failed, a browser may let a page wait for up to a minute.',
};

function noticeFor({ phase, ending }: Connection): Notice | undefined {
  switch (phase) {
    case 'suspended':
      return {
        kind: 'warn',
        title: 'All paths are gone',
        text: 'The session waits for one to come back. Nothing is lost: everything goes on where it was.',
      };
    case 'closed':
      return { kind: 'warn', title: 'The session is closed', text: `In good order: ${ending}.` };
    case 'failed':
      return { kind: 'bad', title: 'The session has failed', text: ending };
    default:
      return undefined;
  }
}
