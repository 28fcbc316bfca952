/** The state of the session, and what there is to say when it is not simply open. */

import type { Connection, Phase } from '../model/connection.js';
import type { PathKeeper } from '../model/keeper.js';
import type { Lines } from '../model/lines.js';
import { part, setText } from './parts.js';

const WORDS: Record<Phase, string> = {
  waiting: 'starting',
  connecting: 'connecting',
  open: 'open',
  suspended: 'suspended',
  closed: 'closed',
  failed: 'failed',
};

interface Notice {
  title: string;
  text: string;
  kind: 'warn' | 'bad';
}

export function mountStatus(connection: Connection, keeper: PathKeeper, lines: Lines): void {
  const state = part('connect-state');
  const notice = part('session-notice');
  const again = part<HTMLButtonElement>('connect-again');

  const showPhase = () => {
    state.dataset.state = connection.phase;
    setText(state, WORDS[connection.phase]);
    const wanted = noticeFor(connection);
    notice.hidden = !wanted;
    again.hidden = connection.isAlive;
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
  again.addEventListener('click', () => keeper.connect());
  connection.changed.subscribe(showPhase);
  lines.changed.subscribe(showServer);
  showPhase();
}

function noticeFor({ phase, error }: Connection): Notice | undefined {
  switch (phase) {
    case 'suspended':
      return {
        kind: 'warn',
        title: 'All paths are gone',
        text: 'The session waits for one to come back. Nothing is lost: everything goes on where it was.',
      };
    case 'closed':
      return { kind: 'warn', title: 'The session is closed', text: 'Both ends agreed on it.' };
    case 'failed':
      return { kind: 'bad', title: 'The session has failed', text: error };
    default:
      return undefined;
  }
}
