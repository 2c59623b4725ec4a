/**
 * Gate of words: nothing in the tree names a folder of the machine it was written on or the
 * host of a package registry, so that it builds the same wherever it is checked out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles, main } from './lib.mjs';

/** Written in parts, so that this file passes its own gate. */
const folders = ['work', 'home', 'root', 'Users'].join('|');
const hosts = [
  ['registry', 'npmjs'],
  ['npmjs', 'com'],
  ['registry', 'yarnpkg'],
  ['registry', 'npmmirror'],
  ['npmmirror', 'com'],
  ['npm', 'taobao'],
  ['npm', 'jsr'],
  ['npm', 'pkg', 'github'],
  ['pypi', 'org'],
  ['pythonhosted', 'org'],
  ['static', 'crates'],
];

const forbidden = [
  { what: 'an absolute path of one machine', pattern: `(?<![\\w.~/-])/(?:${folders})/` },
  { what: 'the host of a package registry', pattern: hosts.map((p) => p.join('\\.')).join('|') },
].map(({ what, pattern }) => ({ what, pattern: new RegExp(pattern) }));

/**
 * @param {string} root
 * @returns {import('./lib.mjs').Report}
 */
export function checkWords(root) {
  const files = listFiles(root);
  const violations = files.flatMap((path) => {
    const bytes = readFileSync(join(root, path));
    if (bytes.subarray(0, 8192).includes(0)) return [];
    return findWords(path, bytes.toString('utf8'));
  });
  return { violations, notes: [`words: ${files.length} files`] };
}

/**
 * @param {string} path
 * @param {string} text
 * @returns {string[]}
 */
function findWords(path, text) {
  return text.split('\n').flatMap((line, i) => {
    const found = forbidden.filter(({ pattern }) => pattern.test(line)).map(({ what }) => what);
    return found.map((what) => `${path}:${i + 1}: names ${what}`);
  });
}

main(import.meta.url, 'words', checkWords);
