/**
 * Rolls the modules of every package that tsc built into few files, `rolled/` beside `dist/`:
 * Node takes longer to find and open hundreds of small files than to run them. Packages stay
 * apart, so that a module exists once, whichever of them imports it.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';
import { repository } from './lib.mjs';

/** Names and structure stay, for stack traces and profiles; white space and comments go. */
const minify = { compress: false, mangle: false, codegen: true };

/** @param {string} id other packages and Node's own modules stay imports */
const isOther = (id) => !/^(\.|\/|[A-Za-z]:)/.test(id);

/** @param {string} folder */
async function roll(folder) {
  const { exports: doors = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const types = Object.values(doors).map((door) => String(door.types));
  const names = types.map((path) => path.replace(/^\.\/dist\/|\.d\.ts$/g, ''));
  const input = Object.fromEntries(names.map((name) => [name, join(folder, 'dist', `${name}.js`)]));
  const bundle = await rolldown({ input, external: isOther, platform: 'node' });
  const dir = join(folder, 'rolled');
  const { output } = await bundle.write({
    dir,
    format: 'esm',
    minify,
    entryFileNames: '[name].js',
  });
  await bundle.close();
  // Only now what is left of earlier builds: who starts meanwhile finds all that it imports.
  const written = new Set(output.map(({ fileName }) => fileName));
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(dir, path).split(sep).join('/');
    if (entry.isFile() && !written.has(name)) rmSync(path);
  }
}

for (const group of ['packages', 'devices']) {
  for (const name of readdirSync(join(repository, group))) {
    const folder = join(repository, group, name);
    if (existsSync(join(folder, 'package.json'))) await roll(folder);
  }
}
