/** The worker pool, and a second session to see where it goes. */

import { Kwik } from 'kwik-transport';
import { type Connection, messageOf, newSession } from '../model/connection.js';
import type { Lines } from '../model/lines.js';
import { make, part, setText } from './parts.js';

const SHOW_MS = 500;

export function mountPool(connection: Connection, lines: Lines): void {
  const button = part<HTMLButtonElement>('second-session');
  let second: Kwik | undefined;
  let problem = '';

  const show = () => {
    setText(button, second ? 'Close the second session' : 'Open a second session');
    button.disabled = !second && !connection.kwik;
    showStats(problem);
  };
  const open = async () => {
    const line = lines.all.find(({ cut }) => !cut);
    if (!line) {
      problem = 'Every line is cut.';
      return show();
    }
    problem = '';
    const session = (second = newSession(line.url));
    show();
    try {
      await session.closed;
    } catch (error) {
      problem = `The second session has failed: ${messageOf(error)}`;
    }
    second = undefined;
    show();
  };
  button.addEventListener('click', () => {
    if (second) second.close();
    else void open();
  });
  connection.changed.subscribe(show);
  setInterval(show, SHOW_MS);
  show();
}

function showStats(problem: string): void {
  const { size, workers, sessions, started, crashed } = Kwik.workerPool.stats();
  const list = part('workers');
  while (list.childElementCount > size) list.lastElementChild?.remove();
  while (list.childElementCount < size) {
    list.append(make('li', { testId: `worker-${list.childElementCount}` }));
  }
  for (const [index, item] of [...list.children].entries()) {
    if (!(item instanceof HTMLElement)) continue;
    const count = sessions[index];
    item.dataset.state = count === undefined ? 'absent' : count > 0 ? 'busy' : 'idle';
    setText(item, `Worker ${index + 1}: ${wordsFor(count)}`);
  }
  const total = sessions.reduce((sum, count) => sum + count, 0);
  const crashes = crashed > 0 ? `, ${crashed} crashed` : '';
  const summary = `${workers} of ${size} workers run, with ${plural(total, 'session')}; ${started} started so far${crashes}.`;
  setText(part('pool-summary'), problem ? `${summary} ${problem}` : summary);
}

function wordsFor(count: number | undefined): string {
  if (count === undefined) return 'not started';
  return count === 0 ? 'idle' : plural(count, 'session');
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
