/** The list of lines: the path over each, what it carries, and the buttons that cut and restore it. */

import { formatBytes, formatMbit, formatMs } from '../logic/format.js';
import { authorityOf, lineName } from '../logic/names.js';
import type { Line, Row } from '../logic/rows.js';
import { messageOf } from '../model/connection.js';
import type { Lines } from '../model/lines.js';
import type { Traffic } from '../model/traffic.js';
import { lineProperty } from './colours.js';
import { make, part, setText } from './parts.js';

const CUT_ALL_SECONDS = 5;

/** What a path's states are called. */
const WORDS: Record<string, string> = {
  none: 'no path',
  opening: 'opening',
  active: 'active',
  standby: 'standby',
  suspect: 'suspect',
  lost: 'lost',
  closing: 'closing',
  closed: 'closed',
};

export function mountLines(lines: Lines, traffic: Traffic): void {
  const list = part('lines');
  const items = new Map<number, LineItem>();
  const act = (action: () => Promise<void>) => void run(action);

  traffic.sampled.subscribe(() => {
    for (const row of traffic.rows) {
      let item = items.get(row.line.id);
      if (!item) {
        item = new LineItem(row.line, lines, act);
        items.set(row.line.id, item);
        list.append(item.element);
      }
      item.show(row);
    }
  });

  const add = part<HTMLButtonElement>('add-line');
  const cutAll = part<HTMLButtonElement>('cut-all');
  add.addEventListener('click', () => act(() => lines.add()));
  cutAll.addEventListener('click', () => act(() => lines.cutAll(CUT_ALL_SECONDS)));
  lines.changed.subscribe(() => {
    add.disabled = lines.isFull;
    add.title = lines.isFull ? 'There are as many lines as there can be' : '';
  });
}

/** Does what a button says, and tells when it does not work. */
async function run(action: () => Promise<void>): Promise<void> {
  const error = part('line-error');
  try {
    await action();
    error.hidden = true;
  } catch (failure) {
    setText(error, messageOf(failure));
    error.hidden = false;
  }
}

class LineItem {
  readonly element: HTMLLIElement;
  #state = make('span', { className: 'pill' });
  #what = make('small');
  #rtt = make('dd');
  #down = make('dd');
  #up = make('dd');
  #carried = make('dd');
  #cut: HTMLButtonElement;
  #restore: HTMLButtonElement;

  constructor(line: Line, lines: Lines, act: (action: () => Promise<void>) => void) {
    const name = lineName(line.id);
    this.element = make('li', { testId: `line-${line.id}` });
    this.element.style.setProperty('--line', `var(${lineProperty(line.id)})`);
    this.#state.dataset.testid = `line-${line.id}-state`;
    this.#rtt.dataset.testid = `line-${line.id}-rtt`;
    this.#carried.dataset.testid = `line-${line.id}-carried`;
    this.#cut = button('Cut', `Cut ${name}`, `line-${line.id}-cut`, 'danger');
    this.#restore = button('Restore', `Restore ${name}`, `line-${line.id}-restore`, '');
    this.#cut.addEventListener('click', () => act(() => lines.cut(line.id)));
    this.#restore.addEventListener('click', () => act(() => lines.restore(line.id)));

    const figures = make('dl', { className: 'figures' });
    figures.append(
      figure('rtt', this.#rtt),
      figure('down', this.#down),
      figure('up', this.#up),
      figure('carried', this.#carried),
    );
    this.element.append(
      make('strong', { text: name }),
      this.#what,
      this.#state,
      figures,
      this.#cut,
      this.#restore,
    );
  }

  show({ line, state, rttMs, downRate, upRate, downBytes, upBytes }: Row): void {
    this.element.dataset.state = state;
    this.element.dataset.cut = String(line.cut);
    this.#state.dataset.state = state;
    setText(this.#what, `${authorityOf(line.url)}, ${line.rate_mbit} Mbit/s, ${line.delay_ms} ms`);
    setText(this.#state, WORDS[state] ?? state);
    setText(this.#rtt, rttMs === undefined || state === 'lost' ? '–' : formatMs(rttMs));
    setText(this.#down, formatMbit(downRate));
    setText(this.#up, formatMbit(upRate));
    setText(this.#carried, formatBytes(downBytes + upBytes));
    this.#showButtons(line.cut);
  }

  #showButtons(isCut: boolean): void {
    if (this.#cut.hidden === isCut && this.#restore.hidden === !isCut) return;
    const [shown, hidden] = isCut ? [this.#restore, this.#cut] : [this.#cut, this.#restore];
    const hadFocus = document.activeElement === hidden;
    shown.hidden = false;
    hidden.hidden = true;
    // The keyboard stays where it was.
    if (hadFocus) shown.focus();
  }
}

function button(text: string, label: string, testId: string, className: string): HTMLButtonElement {
  const made = make('button', { text, testId, className });
  made.type = 'button';
  made.setAttribute('aria-label', label);
  return made;
}

function figure(name: string, value: HTMLElement): HTMLElement {
  const pair = make('div');
  pair.append(make('dt', { text: name }), value);
  return pair;
}
