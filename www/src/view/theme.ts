/** Light, dark, or as the system has it: a button goes through the three. */

import { Signal } from '../model/signal.js';
import { part, setText } from './parts.js';

const KEY = 'kwik-theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const WORDS: Record<Theme, string> = { auto: 'Auto', light: 'Light', dark: 'Dark' };

/** The colours are others now; charts have to be drawn anew. */
export const themeChanged = new Signal();

export function mountTheme(): void {
  const button = part<HTMLButtonElement>('theme-toggle');
  let theme = stored();
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    setText(button, WORDS[theme]);
    button.setAttribute('aria-label', `Theme: ${theme}`);
    themeChanged.emit();
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
    store(theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => themeChanged.emit());
  apply();
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === value) ?? 'auto';
  } catch {
    // A page may be denied its storage.
    return 'auto';
  }
}

function store(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then the choice lasts as long as the page.
  }
}
