/** The parts of the page: they are found by `data-testid`, by its own code as well as by tests. */

/** The part with this name; that it is there is a matter of index.html. */
export function part<T extends HTMLElement = HTMLElement>(name: string): T {
  const found = document.querySelector<T>(`[data-testid="${name}"]`);
  if (!found) throw new Error(`index.html has no part "${name}"`);
  return found;
}

/** Shows text, unless it is there already: assistive technology reads what is written anew. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A new element with a class, a text, and a name for `part`. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { className = '', text = '', testId = '' }: { className?: string; text?: string; testId?: string } = {},
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  if (testId) element.dataset.testid = testId;
  return element;
}
