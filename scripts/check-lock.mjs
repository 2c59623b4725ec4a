/**
 * Gate of the lockfile: every version is pinned, every package that an install on any
 * platform may ask for has an entry, and no entry says where it was downloaded from.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles, main, readText } from './lib.mjs';

/**
 * @typedef {object} Entry
 * @property {string} [resolved]
 * @property {boolean} [link]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [optionalDependencies]
 */

/**
 * @param {string} root
 * @returns {import('./lib.mjs').Report}
 */
export function checkLock(root) {
  const manifests = listFiles(root).filter((path) => /(^|\/)package\.json$/.test(path));
  const violations = manifests.flatMap((path) => loosePins(path, JSON.parse(readText(root, path))));
  if (!existsSync(join(root, 'package-lock.json'))) {
    return { violations: [...violations, 'package-lock.json: missing'], notes: [] };
  }
  /** @type {Record<string, Entry>} */
  const packages = JSON.parse(readText(root, 'package-lock.json')).packages;
  const entries = Object.entries(packages);
  const notes = [`lock: ${entries.length} entries, ${manifests.length} package.json`];
  return { violations: [...violations, ...entries.flatMap((e) => judgeEntry(e, packages))], notes };
}

/**
 * @param {string} path
 * @param {Record<string, Record<string, string> | undefined>} manifest
 * @returns {string[]}
 */
function loosePins(path, manifest) {
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'];
  const all = kinds.flatMap((kind) => Object.entries(manifest[kind] ?? {}));
  const loose = all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
  return loose.map(([name, version]) => `${path}: '${name}' is '${version}', not one version`);
}

/**
 * @param {[string, Entry]} entry
 * @param {Record<string, Entry>} packages
 * @returns {string[]}
 */
function judgeEntry([path, { resolved, link, dependencies, optionalDependencies }], packages) {
  const needed = Object.keys({ ...dependencies, ...optionalDependencies });
  const missing = needed.filter((name) => !findEntry(path, name, packages));
  return [
    ...(resolved !== undefined && !link
      ? [`package-lock.json: ${path} says where it was downloaded from`]
      : []),
    ...missing.map((name) => `package-lock.json: no entry for '${name}', needed by '${path}'`),
  ];
}

/**
 * Looks where Node would: beside the package, then in every folder above it.
 * @param {string} path
 * @param {string} name
 * @param {Record<string, Entry>} packages
 */
function findEntry(path, name, packages) {
  const parts = path === '' ? [] : path.split('/');
  const folders = [...parts, ''].map((_, i) => parts.slice(0, parts.length - i).join('/'));
  return folders.some((folder) => `${folder && `${folder}/`}node_modules/${name}` in packages);
}

main(import.meta.url, 'lock', checkLock);
