/**
 * Gate of the room order: who may import whom, in core and between packages; no import
 * cycles anywhere; no vendor's name in code that every chip shares.
 */
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { importsOf, isGolden, isSource, isTest, listFiles, main, readText } from './lib.mjs';
import { vendorNames } from './vendors.mjs';

/** Rooms of packages/core/src; each may import itself and the rooms on its left. */
export const rooms = [
  'base',
  'graph',
  'schedule',
  'kernel',
  'codegen',
  'compile.ts',
  'runtime',
  'tensor',
];

/** Entry points of core: they may import every room, and no room imports them. */
export const doors = ['index.ts', 'face.ts', 'graph.ts', 'device.ts', 'device', 'internal.ts'];

const core = 'packages/core/src/';
const testTools = new Set(['vitest', 'fast-check']);

/** @typedef {{ path: string, line: number, specifier: string | null, target?: string }} Edge */
/**
 * @typedef {object} Package
 * @property {string} folder
 * @property {Map<string, string>} exports source file by entry, as in './device'
 * @property {Set<string>} dependencies
 */

/**
 * @param {string} root
 * @returns {import('./lib.mjs').Report}
 */
export function checkRooms(root) {
  const files = listFiles(root).filter((path) => isSource(path) && !isGolden(path));
  const packages = readPackages(root);
  const edges = files.flatMap((path) => edgesOf(root, path, packages));
  const violations = [
    ...files.flatMap((path) => unknownRoom(path)),
    ...edges.flatMap((edge) => crossRoom(edge)),
    ...edges.flatMap((edge) => crossPackage(edge, packages)),
    ...coreDependencies(packages),
    ...findCycles(edges),
    ...files.flatMap((path) => findVendors(root, path)),
  ];
  const notes = [`rooms: ${files.length} files, ${edges.length} imports; ${rooms.join(' < ')}`];
  return { violations, notes };
}

/**
 * @param {string} root
 * @returns {Map<string, Package>} by npm name
 */
function readPackages(root) {
  const manifests = listFiles(root).filter((p) =>
    /^(packages|devices)\/[^/]+\/package\.json$/.test(p),
  );
  return new Map(
    manifests.map((path) => {
      const manifest = JSON.parse(readText(root, path));
      const folder = posix.dirname(path);
      const exports = Object.entries(manifest.exports ?? {}).flatMap(([name, target]) => {
        const source = /** @type {{ source?: string }} */ (target).source;
        if (source === undefined) return [];
        return [/** @type {[string, string]} */ ([name, posix.join(folder, source)])];
      });
      const kinds = ['dependencies', 'peerDependencies', 'optionalDependencies'];
      const dependencies = kinds.flatMap((kind) => Object.keys(manifest[kind] ?? {}));
      const entry = { folder, exports: new Map(exports), dependencies: new Set(dependencies) };
      return [manifest.name, entry];
    }),
  );
}

/**
 * @param {string} root
 * @param {string} path
 * @param {Map<string, Package>} packages
 * @returns {Edge[]}
 */
function edgesOf(root, path, packages) {
  return importsOf(readText(root, path)).map(({ specifier, line }) => {
    const target = specifier === null ? undefined : resolveImport(root, path, specifier, packages);
    return { path, line, specifier, ...(target !== undefined && { target }) };
  });
}

/**
 * @param {string} root
 * @param {string} path
 * @param {string} specifier
 * @param {Map<string, Package>} packages
 * @returns {string | undefined} the source file, where it is one of this repository
 */
function resolveImport(root, path, specifier, packages) {
  if (!specifier.startsWith('.')) {
    const { name, entry } = splitSpecifier(specifier);
    return packages.get(name)?.exports.get(entry);
  }
  const plain = posix.join(posix.dirname(path), specifier);
  const candidates = [
    plain.replace(/\.(m?)js$/, '.$1ts'),
    plain,
    `${plain}.ts`,
    `${plain}/index.ts`,
  ];
  return candidates.find((file) => isSource(file) && existsSync(join(root, file))) ?? plain;
}

/** @param {string} specifier */
function splitSpecifier(specifier) {
  const parts = specifier.split('/');
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const rest = specifier.slice(name.length);
  return { name, entry: `.${rest}` };
}

/**
 * The room of a file of core, a door's name, or undefined outside of core. A test belongs to
 * the file it stands beside.
 * @param {string} path
 */
function roomOf(path) {
  if (!path.startsWith(core)) return;
  const inside = path.slice(core.length);
  const first = /** @type {string} */ (inside.split('/')[0]);
  return inside.includes('/') ? first : `${/** @type {string} */ (first.split('.')[0])}.ts`;
}

/** @param {string} path */
function unknownRoom(path) {
  const room = roomOf(path);
  if (room === undefined || rooms.includes(room) || doors.includes(room)) return [];
  return [`${path}: '${room}' is no room of core; rooms are ${rooms.join(', ')}`];
}

/** @param {Edge} edge */
function crossRoom({ path, line, target }) {
  const [from, to] = [roomOf(path), target === undefined ? undefined : roomOf(target)];
  if (from === undefined || to === undefined || doors.includes(from)) return [];
  if (doors.includes(to)) return [`${path}:${line}: a room imports the door ${to}`];
  if (rooms.indexOf(to) <= rooms.indexOf(from)) return [];
  return [`${path}:${line}: ${from} imports ${to}, which stands to its right (${target})`];
}

/**
 * @param {Edge} edge
 * @param {Map<string, Package>} packages
 * @returns {string[]}
 */
function crossPackage({ path, line, specifier, target }, packages) {
  const where = `${path}:${line}`;
  const owner = [...packages.values()].find(({ folder }) => path.startsWith(`${folder}/`));
  if (owner === undefined) return [];
  const { folder, dependencies } = owner;
  const test = isTest(path);
  if (specifier === null) {
    return path.startsWith(core) && !test ? [`${where}: core computes an import at run time`] : [];
  }
  if (specifier.startsWith('.')) {
    const inside = target?.startsWith(`${folder}/`);
    return inside ? [] : [`${where}: '${specifier}' leaves ${folder}; import the package by name`];
  }
  const { name, entry } = splitSpecifier(specifier);
  if (test) {
    const allowed = !path.startsWith(core) || testTools.has(name) || specifier.startsWith('node:');
    return allowed ? [] : [`${where}: a test of core imports '${specifier}'; move it to tests/`];
  }
  if (path.startsWith(core))
    return [`${where}: core imports '${specifier}' from outside of itself`];
  if (specifier.startsWith('node:')) return [];
  if (!dependencies.has(name)) return [`${where}: '${name}' is not in ${folder}/package.json`];
  if (name !== '@open-claw/core') return [];
  if (folder.startsWith('devices/') && !/^\.\/device(\/|$)/.test(entry)) {
    return [
      `${where}: a device imports '${specifier}'; it uses '@open-claw/core/device' and its parts`,
    ];
  }
  if (folder === 'packages/nn' && entry !== '.') {
    return [`${where}: nn imports '${specifier}'; it uses the public interface only`];
  }
  return [];
}

/** @param {Map<string, Package>} packages */
function coreDependencies(packages) {
  const names = [...(packages.get('@open-claw/core')?.dependencies ?? [])];
  return names.map((name) => `packages/core/package.json: core depends on '${name}'`);
}

/**
 * One line per strongly connected group of files: a shortest cycle through its first file.
 * @param {Edge[]} edges
 * @returns {string[]}
 */
function findCycles(edges) {
  /** @type {Map<string, Set<string>>} */
  const next = new Map();
  for (const { path, target } of edges) {
    if (target === undefined) continue;
    const targets = next.get(path) ?? new Set();
    next.set(path, targets.add(target));
  }
  /** @type {Set<string>} */
  const reported = new Set();
  return [...next.keys()].sort().flatMap((start) => {
    if (reported.has(start)) return [];
    const cycle = shortestCycle(start, next);
    if (cycle === undefined) return [];
    for (const path of cycle) reported.add(path);
    return [`import cycle: ${[...cycle, start].join(' → ')}`];
  });
}

/**
 * @param {string} start
 * @param {Map<string, Set<string>>} next
 * @returns {string[] | undefined} files from `start` up to the one that imports it again
 */
function shortestCycle(start, next) {
  /** @type {Map<string, string | undefined>} */
  const reachedFrom = new Map([[start, undefined]]);
  for (const path of reachedFrom.keys()) {
    for (const target of next.get(path) ?? []) {
      if (target === start) return trail(path, reachedFrom);
      if (!reachedFrom.has(target)) reachedFrom.set(target, path);
    }
  }
  return;
}

/**
 * @param {string} end
 * @param {Map<string, string | undefined>} reachedFrom
 */
function trail(end, reachedFrom) {
  const path = [end];
  for (let at = reachedFrom.get(end); at !== undefined; at = reachedFrom.get(at)) path.unshift(at);
  return path;
}

/** Code that may name vendors: device folders, dialect tables, and this gate with its test. */
const mayNameVendors = [
  /^devices\//,
  /^packages\/core\/src\/codegen\/(.*\/)?(dialects?\/.*|[^/]*(table|dialects?)[^/]*)\.ts$/,
  /^(scripts\/vendors\.mjs|tests\/gates\/rooms\.test\.ts)$/,
  /^docs\//,
];

/**
 * @param {string} root
 * @param {string} path
 * @returns {string[]}
 */
function findVendors(root, path) {
  if (mayNameVendors.some((pattern) => pattern.test(path))) return [];
  return readText(root, path)
    .split('\n')
    .flatMap((text, i) =>
      vendorNames(text).map((name) => `${path}:${i + 1}: vendor name '${name}' in shared code`),
    );
}

main(import.meta.url, 'rooms', checkRooms);
