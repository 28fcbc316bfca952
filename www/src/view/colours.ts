/** The style sheet's colours, for what is drawn on a canvas. */

import { themeChanged } from './theme.js';

const SERIES = 4;

/** Asking the browser costs a pass over all styles, so that it is asked once. */
const known = new Map<string, string>();
themeChanged.subscribe(() => known.clear());

/** A custom property's value in this theme, as a canvas understands it. */
export function colour(property: string): string {
  let value = known.get(property);
  if (value === undefined) {
    value = computed(property);
    known.set(property, value);
  }
  return value;
}

/** The same colour, let through in part. */
export function translucent(property: string, percent: number): string {
  return colour(property).replace(/^rgb\((.*)\)$/, (_, channels: string) => `rgba(${channels}, ${percent / 100})`);
}

/** The custom property with a line's colour. */
export function lineProperty(line: number): string {
  return `--line-${line % SERIES}`;
}

/** A custom property has `light-dark()` in it; what an element makes of it has not. */
function computed(property: string): string {
  const probe = document.createElement('span');
  probe.hidden = true;
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
