/**
 * Rolls the modules of every package that tsc built into few files, `rolled/` beside `dist/`:
 * Node takes longer to find and open hundreds of small files than to run them. Packages stay
 * apart, so that a module exists once, whichever of them imports it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { repository } from './lib.mjs';

/**
 * Names of functions and structure stay, for stack traces and profiles; the other names inside of
 * functions, white space and comments go.
 */
const keepNames = { function: true, class: true };
const minify = { compress: false, mangle: { toplevel: false, keepNames }, codegen: true };

/** What the names of these packages begin with. */
const family = '@open-claw/';

/** What the module is called that is all of the doors of a file; the file's name follows. */
const joined = 'doors:';

/** @param {string} id other packages and Node's own modules stay imports; see otherDoors too */
const isOther = (id) => !/^(\.|\/|[A-Za-z]:)/.test(id) && !/^(doors:|@open-claw\/)/.test(id);

/** What core calls its build until it is rolled; see base/build.ts. */
const unrolled = 'unrolled-code';

/**
 * Text in ASCII alone, which V8 holds and reads as bytes.
 * @param {string} code
 */
const plain = (code) =>
  code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Files that a start of a program goes through: each holds all that it needs at once.
 * @type {Readonly<Record<string, string>>}
 */
const fronts = { core: 'front', formats: 'arrays', openclaw: 'index' };

/** Small modules that most other files need too. */
const shared = /\/(kernel\/dead-code|codegen\/expression-text)\.js$|rolldown\/runtime/;

/** @typedef {{ readonly types: string, readonly default: string }} Door */
/** @typedef {ReadonlyMap<string, readonly string[]>} Files modules of doors by the file's name */

/** @param {string} folder @returns {Readonly<Record<string, Door>>} */
const doorsOf = (folder) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).exports ?? {};

/** @param {string} folder @param {Door} door */
const moduleOf = (folder, door) => join(folder, door.types.replace(/\.d\.ts$/, '.js'));

/** @param {string} folder @returns {Files} */
function filesOf(folder) {
  /** @type {Map<string, string[]>} */
  const files = new Map();
  for (const door of Object.values(doorsOf(folder))) {
    const name = door.default.replace(/^\.\/rolled\/|\.js$/g, '');
    files.set(name, [...(files.get(name) ?? []), moduleOf(folder, door)]);
  }
  return files;
}

/** The module that is all of the doors of a file. @param {Files} files */
const joinDoors = (files) => ({
  name: 'join-doors',
  /** @param {string} id */
  resolveId: (id) => (id.startsWith(joined) ? id : null),
  /** @param {string} id */
  load(id) {
    const modules = id.startsWith(joined) ? files.get(id.slice(joined.length)) : undefined;
    return modules?.map((path) => `export * from ${JSON.stringify(path)};`).join('\n');
  },
});

/**
 * Where a door of another of these packages is.
 * @param {string} path what follows `@open-claw/` in an import
 */
function findDoor(path) {
  const [name = '', ...rest] = path.split('/');
  const folder = ['packages', 'devices']
    .map((group) => join(repository, group, name.replace(/^device-/, '')))
    .find((each) => existsSync(join(each, 'package.json')));
  const doors = folder === undefined ? {} : doorsOf(folder);
  const door = doors[['.', ...rest].join('/')];
  if (folder === undefined || door === undefined) throw new Error(`no door @open-claw/${path}`);
  return { name, folder, doors, door };
}

/**
 * Doors that share a file are imported by the name of the first, which is then looked for once; and
 * since it gives the names of all, who passes on all of one says its names.
 */
const otherDoors = {
  name: 'other-doors',
  /** @param {string} id */
  resolveId(id) {
    if (!id.startsWith(family)) return null;
    const { name, doors, door } = findDoor(id.slice(family.length));
    const first = Object.keys(doors).find((each) => doors[each]?.default === door.default) ?? '.';
    return { id: family + [name, ...first.split('/').slice(1)].join('/'), external: true };
  },
  /** @param {string} code */
  async transform(code) {
    let named = code;
    for (const [text, path = ''] of code.matchAll(/^export \* from '@open-claw\/([^']+)';$/gm)) {
      const { folder, door } = findDoor(path);
      const names = Object.keys(await import(pathToFileURL(moduleOf(folder, door)).href));
      named = named.replace(text, `export { ${names.join(', ')} } from '${family}${path}';`);
    }
    return named;
  },
};

/**
 * The modules that an entry needs at once.
 * @param {Readonly<Record<string, string>>} input
 * @param {readonly import('rolldown').Plugin[]} plugins
 * @returns {Promise<ReadonlySet<string>>}
 */
async function reachedFrom(input, plugins) {
  const bundle = await rolldown({
    input,
    plugins: [...plugins],
    external: isOther,
    platform: 'node',
  });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  const chunks = new Map(output.flatMap((c) => (c.type === 'chunk' ? [[c.fileName, c]] : [])));
  const found = new Set();
  const waiting = output.flatMap((c) => (c.type === 'chunk' && c.isEntry ? [c.fileName] : []));
  for (const name of waiting) {
    const { moduleIds, imports } = chunks.get(name) ?? { moduleIds: [], imports: [] };
    for (const id of moduleIds) found.add(id);
    waiting.push(...imports.filter((each) => !waiting.includes(each)));
  }
  return found;
}

/**
 * Rolls some files of a package.
 * @param {string} folder
 * @param {Files} files
 */
async function rollFiles(folder, files) {
  const input = Object.fromEntries(
    [...files].map(([name, [only = '', ...more]]) => [
      name,
      more.length === 0 ? only : joined + name,
    ]),
  );
  const plugins = [joinDoors(files), otherDoors];
  const name = fronts[basename(folder)] ?? '';
  const front =
    name in input ? await reachedFrom({ [name]: input[name] ?? '' }, plugins) : new Set();
  const bundle = await rolldown({
    input,
    plugins,
    external: isOther,
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
  });
  const { output } = await bundle.write({
    dir: join(folder, 'rolled'),
    format: 'esm',
    minify,
    entryFileNames: '[name].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: 'front', test: (id) => front.has(id) || shared.test(id) }],
    },
  });
  await bundle.close();
  return output;
}

/** @param {string} folder */
async function roll(folder) {
  const dir = join(folder, 'rolled');
  const files = [...filesOf(folder)];
  // What a browser loads comes with no module of Node, and what Node loads in no more files for it.
  const parts = [true, false].map((isIt) =>
    files.filter(([name]) => (name === 'browser') === isIt),
  );
  const output = [];
  for (const part of parts) {
    if (part.length > 0) output.push(...(await rollFiles(folder, new Map(part))));
  }
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
