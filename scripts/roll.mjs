/**
 * Rolls the modules of every package that tsc built into few files, `rolled/` beside `dist/`:
 * Node takes longer to find and open hundreds of small files than to run them. Packages stay
 * apart, so that a module exists once, whichever of them imports it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';
import { repository } from './lib.mjs';

/** Names and structure stay, for stack traces and profiles; white space and comments go. */
const minify = { compress: false, mangle: false, codegen: true };

/** @param {string} id other packages and Node's own modules stay imports */
const isOther = (id) => !/^(\.|\/|[A-Za-z]:)/.test(id);

/** What core calls its build until it is rolled; see base/build.ts. */
const unrolled = 'unrolled-code';

/**
 * Text in ASCII alone, which V8 holds and reads as bytes.
 * @param {string} code
 */
const plain = (code) =>
  code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Doors that a start of a program goes through: what they need at once becomes one file.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const fronts = {
  core: ['face', 'device/contract', 'device/c-later'],
  formats: ['arrays'],
  openclaw: ['index'],
};

/** Small modules that most other files need too. */
const shared = /\/(kernel\/dead-code|codegen\/expression-text)\.js$|rolldown\/runtime/;

/**
 * The modules that these need at once, or ever.
 * @param {readonly string[]} input
 * @returns {Promise<ReadonlySet<string>>}
 */
async function reachedFrom(input, ever = false) {
  if (input.length === 0) return new Set();
  const bundle = await rolldown({ input: [...input], external: isOther, platform: 'node' });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  const chunks = new Map(output.flatMap((c) => (c.type === 'chunk' ? [[c.fileName, c]] : [])));
  const found = new Set();
  const waiting = output.flatMap((c) =>
    c.type === 'chunk' && (c.isEntry || ever) ? [c.fileName] : [],
  );
  for (const name of waiting) {
    const { moduleIds, imports } = chunks.get(name) ?? { moduleIds: [], imports: [] };
    for (const id of moduleIds) found.add(id);
    waiting.push(...imports.filter((each) => !waiting.includes(each)));
  }
  return found;
}

/** @param {string} folder */
async function roll(folder) {
  const { exports: doors = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const types = Object.values(doors).map((door) => String(door.types));
  const names = types.map((path) => path.replace(/^\.\/dist\/|\.d\.ts$/g, ''));
  const input = Object.fromEntries(names.map((name) => [name, join(folder, 'dist', `${name}.js`)]));
  const bundle = await rolldown({
    input,
    external: isOther,
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
  });
  const dir = join(folder, 'rolled');
  const wanted = (fronts[basename(folder)] ?? []).flatMap((name) => input[name] ?? []);
  const browser = input['browser'] === undefined ? [] : [input['browser']];
  // What a browser loads must not come with modules of Node.
  const others = await reachedFrom(browser, true);
  const front = new Set([...(await reachedFrom(wanted))].filter((id) => !others.has(id)));
  const { output } = await bundle.write({
    dir,
    format: 'esm',
    minify,
    entryFileNames: '[name].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: 'front', test: (id) => front.has(id) || shared.test(id) }],
    },
  });
  await bundle.close();
  const chunks = output.filter((each) => each.type === 'chunk');
  const hash = createHash('sha256');
  for (const { code } of chunks) hash.update(code);
  const build = hash.digest('hex').slice(0, 32);
  for (const { fileName, code } of chunks) {
    const final = plain(code).replace(unrolled, build);
    if (final !== code) writeFileSync(join(dir, fileName), final);
  }
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
