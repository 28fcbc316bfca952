/** What lines are called, and how a path is told to run over one. */

/** Lines have letters, so that nobody takes their number for a path's. */
export function lineName(id: number): string {
  return `Line ${lineLetter(id)}`;
}

export function lineLetter(id: number): string {
  return id < 26 ? String.fromCharCode(65 + id) : String(id);
}

/** Host and port of an address: the part that a path and its line have in common. */
export function authorityOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(url)?.[1]?.toLowerCase() ?? url;
}
