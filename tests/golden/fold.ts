/** Makes long generated text readable without hiding a change. */
import { createHash } from 'node:crypto';

const longestGroup = 40;
const shapeOf = (line: string): string => line.replace(/\d+/g, '#');

const digest = (lines: readonly string[]): string =>
  createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 8);

/** Times that the `period` lines from `start` on stand one after the other, but for numbers. */
function repeats(shapes: readonly string[], start: number, period: number): number {
  let at = start + period;
  while (at < shapes.length && shapes[at] === shapes[at - period]) at++;
  return Math.floor((at - start) / period);
}

/**
 * Where groups of lines that differ in numbers only stand three or more times in a row, keeps the
 * first; a digest of the others shows when one of them changes.
 */
export function folded(text: string): string {
  const lines = text.split('\n');
  const shapes = lines.map(shapeOf);
  const kept: string[] = [];
  for (let i = 0; i < lines.length; ) {
    let best = { period: 1, count: 1 };
    for (let period = 1; period <= longestGroup; period++) {
      const count = repeats(shapes, i, period);
      const covers = count * period > best.count * best.period;
      if (count >= 3 && covers && shapes[i] !== '') best = { period, count };
    }
    const { period, count } = best;
    kept.push(...lines.slice(i, i + period));
    const rest = lines.slice(i + period, i + period * count);
    if (rest.length > 0) {
      const indent = /^ */.exec(lines[i] as string)?.[0] ?? '';
      const group = period === 1 ? 'this' : `these ${period}`;
      kept.push(`${indent}⋮ ${rest.length} more lines like ${group}, digest ${digest(rest)}`);
    }
    i += period * count;
  }
  return kept.join('\n');
}

const firstKernel =
  /^(\/\* --- kernel --- \*\/|function k0|extern "C"|__attribute__\(\(reqd|@compute|@group)/;

/** Leaves out what stands before the first kernel: types and helper functions. */
export function withoutPrelude(text: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => firstKernel.test(line));
  if (start <= 4) return text;
  const left = digest(lines.slice(0, start));
  const mark = `⋮ ${start} lines of types and helper functions, digest ${left}`;
  return [mark, ...lines.slice(start)].join('\n');
}

/** For each line the index of its partner in a longest common subsequence with `others`. */
function partners(lines: readonly string[], others: readonly string[]): readonly number[] {
  const width = others.length + 1;
  const lengths = new Uint16Array((lines.length + 1) * width);
  for (let i = lines.length - 1; i >= 0; i--) {
    for (let j = others.length - 1; j >= 0; j--) {
      const [down, right] = [lengths[(i + 1) * width + j], lengths[i * width + j + 1]];
      const both = (lengths[(i + 1) * width + j + 1] as number) + 1;
      lengths[i * width + j] =
        lines[i] === others[j] ? both : Math.max(down as number, right as number);
    }
  }
  const found: number[] = [];
  for (let i = 0, j = 0; i < lines.length; i++) {
    while (j < others.length && lengths[i * width + j] === lengths[i * width + j + 1]) j++;
    const isPartner = j < others.length && lines[i] === others[j];
    found.push(isPartner ? j++ : -1);
  }
  return found;
}

/** Shortest run that is left out. */
const shortestRun = 4;

/** Leaves out runs of lines that stand in another text too, in the same order. */
export function against(text: string, other: string, title: string): string {
  const lines = text.split('\n');
  const places = partners(lines, other.split('\n'));
  const kept: string[] = [];
  for (let i = 0; i < lines.length; ) {
    let end = i + 1;
    if (places[i] !== -1) {
      while (end < lines.length && places[end] === (places[end - 1] as number) + 1) end++;
    }
    if (end - i < shortestRun) kept.push(...lines.slice(i, end));
    else kept.push(`⋮ ${end - i} lines as ${title}`);
    i = end;
  }
  return kept.join('\n');
}
