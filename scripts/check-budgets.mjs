/** Gate of sizes: lines per file and per line; prints how large every room is. */
import { isGolden, isSource, isTest, listFiles, main, readText } from './lib.mjs';

export const maxFileLines = 400;
export const maxLineLength = 100;

/** Files held to less, because a reader must take them in at one look. */
export const tighter = new Map([
  ['packages/core/src/runtime/contract.ts', 150],
  ['packages/core/src/compile.ts', 80],
]);

const tables = /(\.table|\/messages\.\w+)\.ts$/;

/**
 * @param {string} root
 * @returns {import('./lib.mjs').Report}
 */
export function checkBudgets(root) {
  const files = listFiles(root)
    .filter((path) => isSource(path) && !isGolden(path))
    .map((path) => ({ path, lines: readText(root, path).replace(/\n$/, '').split('\n') }));
  const violations = files.flatMap(({ path, lines }) => [
    ...tooManyLines(path, lines.length),
    ...lines.flatMap((line, i) => tooLong(path, line, i + 1)),
  ]);
  return { violations, notes: totals(files) };
}

/** @param {string} path @param {number} count */
function tooManyLines(path, count) {
  const free = isTest(path) || tables.test(path);
  const limit = tighter.get(path) ?? (free ? Number.POSITIVE_INFINITY : maxFileLines);
  return count <= limit ? [] : [`${path}: ${count} lines, at most ${limit}`];
}

/** @param {string} path @param {string} line @param {number} number */
function tooLong(path, line, number) {
  const length = [...line].length;
  if (length <= maxLineLength) return [];
  return [`${path}:${number}: ${length} characters, at most ${maxLineLength}`];
}

/**
 * @param {{ path: string, lines: string[] }[]} files
 * @returns {string[]}
 */
function totals(files) {
  /** @type {Map<string, { files: number, lines: number, tests: number }>} */
  const rooms = new Map();
  for (const { path, lines } of files) {
    const room = roomName(path);
    const sum = rooms.get(room) ?? { files: 0, lines: 0, tests: 0 };
    if (isTest(path)) sum.tests += lines.length;
    else {
      sum.files += 1;
      sum.lines += lines.length;
    }
    rooms.set(room, sum);
  }
  return [...rooms].sort().map(([room, { files: count, lines, tests }]) => {
    const numbers = [count, lines, tests].map((n) => String(n).padStart(6));
    return `${room.padEnd(28)}${numbers[0]} files${numbers[1]} lines${numbers[2]} of tests`;
  });
}

/**
 * The room of a file of core, else its package or its top folder.
 * @param {string} path
 */
function roomName(path) {
  const parts = path.split('/');
  if (path.startsWith('packages/core/src/'))
    return parts.slice(1, parts.length > 4 ? 4 : 3).join('/');
  if (/^(packages|devices)\//.test(path)) return parts.slice(0, 2).join('/');
  return parts.length > 1 ? /** @type {string} */ (parts[0]) : '.';
}

main(import.meta.url, 'budgets', checkBudgets);
