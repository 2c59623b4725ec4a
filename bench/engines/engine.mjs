/** What an engine gives for one case, and where packages of a folder lie. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * @typedef {object} Ready a case that is loaded
 * @property {() => Promise<unknown>} run one call; its result is there when it resolves
 * @property {() => Promise<ArrayLike<number>>} output the first output of the last call
 * @property {(bytes: number) => Promise<import('@open-claw/openclaw/bench').Peaks>} [limits]
 */

/**
 * @typedef {object} Setting
 * @property {import('../cases.mjs').Case} item
 * @property {string} modelPath
 * @property {number} threads
 * @property {string} peers folder of the packages of other engines
 * @property {string} device
 * @property {import('../contestants.mjs').Values} values
 */

/**
 * The address of a file of a package that is installed in `folder`; its main module for ''.
 * @param {string} folder
 * @param {string} name
 * @param {string} [file]
 */
export function addressIn(folder, name, file = '') {
  const root = join(folder, 'node_modules', name);
  const {
    module,
    main,
    exports: given,
  } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entry = given?.['.']?.import;
  const path = file || (typeof entry === 'string' ? entry : (module ?? main ?? 'index.js'));
  return pathToFileURL(join(root, path)).href;
}

/** @param {string} folder @param {string} name @returns {string | undefined} */
export function versionIn(folder, name) {
  try {
    return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
      .version;
  } catch {
    return undefined;
  }
}
