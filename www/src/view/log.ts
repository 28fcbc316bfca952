/** The event log: what happened when, the newest first. */

import { formatClock } from '../logic/format.js';
import { authorityOf, lineName } from '../logic/names.js';
import type { Connection, Happening } from '../model/connection.js';
import type { Lines } from '../model/lines.js';
import { make, part } from './parts.js';

const MAX_ENTRIES = 200;

/** How an entry looks: what went well, what is not over, what is bad, and what a person did. */
type Kind = 'good' | 'warn' | 'bad' | 'act';

const LINE_WORDS = { added: 'added', cut: 'cut: every packet is dropped', restored: 'restored' };

export function mountLog(connection: Connection, lines: Lines): void {
  connection.happened.subscribe((event) => write(...describe(event, lines)));
  lines.happened.subscribe(({ line, what }) => write('act', what, `${lineName(line.id)} ${LINE_WORDS[what]}`));
}

function describe(event: Happening, lines: Lines): [Kind, string, string] {
  const path = pathName(event, lines);
  const why = event.detail ? `: ${event.detail}` : '';
  switch (event.type) {
    case 'open':
      return ['good', event.type, 'The session is open'];
    case 'pathadded':
      return ['good', event.type, `${path} is part of the session`];
    case 'pathsuspect':
      return ['warn', event.type, `${path} does not answer; what it carried goes over the others`];
    case 'pathlost':
      return ['bad', event.type, `${path} is lost${why}`];
    case 'pathmissed':
      return ['warn', event.type, `${lineOf(event, lines) ?? 'A path'} could not be dialled, which is tried again`];
    case 'pathrecovered':
      return ['good', event.type, `${path} answers again`];
    case 'suspended':
      return ['bad', event.type, 'Suspended: no path is left, the session waits'];
    case 'resumed':
      return ['good', event.type, 'Resumed: everything goes on where it was'];
    case 'closed':
      return ['warn', event.type, `The session is closed${why}`];
    case 'failed':
      return ['bad', event.type, `The session has failed${why}`];
    default:
      return ['warn', event.type, `${event.type}${why}`];
  }
}

function pathName(event: Happening, lines: Lines): string {
  const line = lineOf(event, lines);
  return line ? `${line}, path ${event.path}` : `Path ${event.path}`;
}

function lineOf({ url }: Happening, lines: Lines): string | undefined {
  const authority = url && authorityOf(url);
  const line = lines.all.find((each) => authorityOf(each.url) === authority);
  return line && lineName(line.id);
}

function write(kind: Kind, event: string, text: string): void {
  const log = part('log-entries');
  // What happens again and again is one entry.
  if (log.firstElementChild?.querySelector('span')?.textContent === text) log.firstElementChild.remove();
  const entry = make('li', { className: kind });
  entry.dataset.event = event;
  entry.append(make('time', { text: formatClock(new Date()) }), ' ', make('span', { text }));
  log.prepend(entry);
  while (log.childElementCount > MAX_ENTRIES) log.lastElementChild?.remove();
}
