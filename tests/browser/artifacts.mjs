/** Pictures of pages, for people. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('./artifacts/', import.meta.url));

/** Keeps a picture of the whole page in `artifacts/`, and in the directory that CI_ARTIFACTS names. */
export async function keep(page, name) {
  const path = join(HERE, `${name}.png`);
  await page.screenshot({ path, fullPage: true });
  const elsewhere = process.env.CI_ARTIFACTS;
  if (!elsewhere) return;
  await mkdir(elsewhere, { recursive: true });
  await copyFile(path, join(elsewhere, `${name}.png`));
}
