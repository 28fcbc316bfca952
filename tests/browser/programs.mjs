/** The programs that the tests run, as cargo builds them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');

/** Where the program of a package of the workspace is. */
export function programOf(program, cargoPackage) {
  const path = join(TARGET, 'debug', program);
  if (!existsSync(path)) throw new Error(`there is no ${path}: cargo build -p ${cargoPackage}`);
  return path;
}
