/** The style sheet's colours, for what is drawn on a canvas. */

const SERIES = 4;

let probe: HTMLElement | undefined;

/** A custom property's value as of now, as a canvas understands it. */
export function colour(property: string): string {
  if (!probe) {
    probe = document.createElement('span');
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${property})`;
  return getComputedStyle(probe).color;
}

/** The custom property with a line's colour. */
export function lineProperty(line: number): string {
  return `--line-${line % SERIES}`;
}

/** The same colour, let through in part. */
export function translucent(property: string, percent: number): string {
  probe?.style.removeProperty('color');
  return colour(property).replace(/^rgb\((.*)\)$/, (_, channels: string) =>
    `rgba(${channels}, ${percent / 100})`,
  );
}
