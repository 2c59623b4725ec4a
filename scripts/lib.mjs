/**
 * What every gate shares: finding files, reading import specifiers, reporting.
 * A gate is a function (root) → Report and runs as a script through `main`.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{ violations: string[], notes: string[] }} Report */
/** @typedef {{ specifier: string | null, line: number }} Import null: computed at run time */
/** @typedef {{ kind: 'word' | 'text' | 'mark', value: string, line: number }} Token */

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const skippedFolders = new Set(['node_modules', 'dist', 'rolled', '.git', '.cache', 'coverage']);

/**
 * Files that belong to the tree: those git tracks or would track; where there is no git
 * checkout, every file outside build output. Paths are relative to `root`, with `/`, sorted.
 * @param {string} root
 * @returns {string[]}
 */
export function listFiles(root) {
  return (listTracked(root) ?? walk(root, root)).sort();
}

/**
 * @param {string} root
 * @returns {string[] | undefined}
 */
function listTracked(root) {
  try {
    const run = (/** @type {string[]} */ ...args) =>
      execFileSync('git', args, {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    // A folder inside somebody else's checkout is not a checkout of its own.
    if (realpathSync(run('rev-parse', '--show-toplevel').trim()) !== realpathSync(root)) return;
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const deleted = new Set(run('ls-files', '-z', '--deleted').split('\0'));
    const listed = run(...args).split('\0');
    return [...new Set(listed)].filter((path) => path !== '' && !deleted.has(path));
  } catch {
    return;
  }
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function walk(root, folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skippedFolders.has(entry.name) ? [] : walk(root, path);
    return entry.isFile() ? [relative(root, path).split(sep).join('/')] : [];
  });
}

/** @param {string} root @param {string} path */
export function readText(root, path) {
  return readFileSync(join(root, path), 'utf8');
}

/** @param {string} path */
export function isSource(path) {
  return /\.(ts|mts|js|mjs)$/.test(path);
}

/** @param {string} path */
export function isTest(path) {
  return /\.test\.ts$/.test(path) || path.startsWith('tests/');
}

/** @param {string} path */
export function isGolden(path) {
  return path.split('/').some((part) => part === 'golden' || part === 'fixtures');
}

/**
 * Every module a source file names: static, type-only, side-effect, re-export and dynamic
 * imports, import types and `require`. Text in comments and strings is not code.
 * @param {string} source
 * @returns {Import[]}
 */
export function importsOf(source) {
  const tokens = tokenize(source);
  /** @type {Import[]} */
  const found = [];
  tokens.forEach((token, i) => {
    if (token.kind !== 'word') return;
    const next = tokens[i + 1];
    const member = tokens[i - 1]?.value === '.';
    if ((token.value === 'from' || token.value === 'import') && next?.kind === 'text' && !member) {
      found.push({ specifier: next.value, line: next.line });
    } else if ((token.value === 'import' || token.value === 'require') && next?.value === '(') {
      if (member) return;
      const [argument, after] = [tokens[i + 2], tokens[i + 3]];
      const literal = argument?.kind === 'text' && (after?.value === ')' || after?.value === ',');
      found.push({ specifier: literal ? argument.value : null, line: token.line });
    }
  });
  return found;
}

const regexMayFollow = new Set(
  'return typeof case in of do else void delete throw new instanceof yield await'.split(' '),
);

/**
 * Splits a source into words, string texts and punctuation marks; comments, regular
 * expressions and templates with substitutions give no text.
 * @param {string} source
 * @returns {Token[]}
 */
function tokenize(source) {
  /** @type {Token[]} */
  const tokens = [];
  /** @type {number[]} open braces inside each template substitution being read */
  const substitutions = [];
  let line = 1;
  let at = 0;

  /** @param {RegExp} pattern @returns {string | undefined} */
  const take = (pattern) => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) return;
    at += text.length;
    return text;
  };
  /** @param {Token['kind']} kind @param {string} value */
  const push = (kind, value) => tokens.push({ kind, value, line });
  /** @param {string} text */
  const countLines = (text) => {
    line += text.split('\n').length - 1;
  };

  while (at < source.length) {
    const blank = take(/\s+|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y);
    if (blank !== undefined) {
      countLines(blank);
      continue;
    }
    const quoted = take(/'(?:[^'\\\n]|\\[\s\S])*'?|"(?:[^"\\\n]|\\[\s\S])*"?/y);
    if (quoted !== undefined) {
      push('text', quoted.slice(1, -1));
      countLines(quoted);
      continue;
    }
    const word = take(/[\p{L}\p{N}_$#]+/uy);
    if (word !== undefined) {
      push('word', word);
      continue;
    }
    const last = tokens.at(-1);
    const value = last === undefined || (last.kind === 'mark' && !')]}'.includes(last.value));
    if (source[at] === '/' && (value || (last.kind === 'word' && regexMayFollow.has(last.value)))) {
      const regex = take(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y);
      if (regex !== undefined) {
        push('word', '');
        continue;
      }
    }
    const mark = /** @type {string} */ (source[at]);
    const depth = substitutions.at(-1);
    const resumes = mark === '}' && depth === 0;
    if (mark === '{' && depth !== undefined) substitutions[substitutions.length - 1] = depth + 1;
    if (mark === '}' && depth) substitutions[substitutions.length - 1] = depth - 1;
    if (resumes) substitutions.pop();
    at += 1;
    if (mark !== '`' && !resumes) {
      push('mark', mark);
      continue;
    }
    const template = take(/(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|$)/y) ?? '';
    const whole = mark === '`' && template.endsWith('`');
    if (template.endsWith('${')) substitutions.push(0);
    if (whole) push('text', template.slice(0, -1));
    else push('mark', template.endsWith('${') ? '${' : ')');
    countLines(template);
  }
  return tokens;
}

/**
 * Runs a gate when its file is the one started: prints the report, exits 1 on a violation.
 * @param {string} url import.meta.url of the gate
 * @param {string} name
 * @param {(root: string) => Report} check
 */
export function main(url, name, check) {
  const started = process.argv[1];
  if (started === undefined || realpathSync(started) !== fileURLToPath(url)) return;
  const { violations, notes } = check(resolve(process.argv[2] ?? repository));
  for (const note of notes) console.log(note);
  for (const violation of violations) console.error(`${name}: ${violation}`);
  console.log(`${name}: ${violations.length === 0 ? 'ok' : `${violations.length} violation(s)`}`);
  if (violations.length > 0) process.exitCode = 1;
}
