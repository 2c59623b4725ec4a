/**
 * Accesses of several elements at once: finds registers whose elements lie side by side, at an
 * address that fits their number and under guards that hold for all of them or for none.
 */
import {
  divisorOf,
  type Expression,
  equal,
  keyOf,
  type Operation,
  subtract,
} from '../base/expression.js';
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import type { Access } from '../kernel/tile.js';
import type { Element, Guard } from './thread-program.js';

/** What divides the variables of a kernel: loop indices are multiples of their steps. */
export type Divisors = (name: string) => number;

/** Widest access of a memory in elements. */
export const widthOf = (accessBytes: number | undefined, memory: MemoryType): number =>
  Math.max(1, Math.floor((accessBytes ?? 0) / bytesOfMemory[memory]));

/** Elements of an access along a contiguous axis that one aligned access may move. */
export function alignedWidth(access: Access, axis: number, most: number, known: Divisors): number {
  const { low = 0, high = 0 } = access.limits?.[axis] ?? {};
  const others = access.strides.filter((_, i) => i !== axis);
  const divisors = [access.address, low, high, ...others].map((e) => divisorOf(e, known));
  let width = most;
  while (width > 1 && divisors.some((d) => d % width !== 0)) width = Math.floor(width / 2);
  return width;
}

/**
 * Partitions elements into runs, each of numbers in `elements`: a run of several is one aligned
 * access of a power of two of elements, at least a word and at most `accessBytes`.
 */
export function runsOf(
  elements: readonly Element[],
  memory: MemoryType,
  accessBytes: number,
  divisors: Divisors,
): readonly (readonly number[])[] {
  const most = widthOf(accessBytes, memory);
  const least = Math.max(2, 4 / bytesOfMemory[memory]);
  const byAddress = new Map(elements.map((e, i) => [keyOf(e.address), i]));
  const taken = new Set<number>();
  const runs: (readonly number[])[] = [];
  for (let width = most; width >= least; width = Math.floor(width / 2)) {
    for (const [i, first] of elements.entries()) {
      if (taken.has(i) || divisorOf(first.address, divisors) % width !== 0) continue;
      const run = Array.from({ length: width }, (_, k) => byAddress.get(keyOf(shift(first, k))));
      const whole = run.filter((at) => at !== undefined && !taken.has(at)) as number[];
      const parts = whole.map((at) => elements[at] as Element);
      if (whole.length < width || !allOrNone(parts, width, divisors)) continue;
      for (const at of whole) taken.add(at);
      runs.push(whole);
    }
  }
  const single = elements.flatMap((_, i) => (taken.has(i) ? [] : [[i]]));
  return [...runs, ...single].sort((a, b) => (a[0] as number) - (b[0] as number));
}

const shift = ({ address }: Element, by: number): Expression => subtract(address, -by);

function allOrNone(parts: readonly Element[], width: number, divisors: Divisors): boolean {
  const [first] = parts as [Element];
  return parts.every(({ guard }, k) => sameTruth(first.guard, guard, k, width, divisors));
}

/** Whether a guard k elements on holds where the first one does. */
function sameTruth(
  first: Guard,
  later: Guard,
  k: number,
  width: number,
  divisors: Divisors,
): boolean {
  if (first.length !== later.length) return false;
  return first.every((a, i) => {
    const b = later[i] as Guard[number];
    const isOperand = (e: Guard[number]) => typeof e === 'object' && 'dtype' in e;
    if (isOperand(a) || isOperand(b)) return a === b;
    const [x, y] = [a as Expression, b as Expression];
    if (keyOf(x) === keyOf(y)) return true;
    const [from, to] = [lessThanOf(x), lessThanOf(y)];
    if (from === undefined || to === undefined) return false;
    const fits = (e: Expression): boolean => divisorOf(e, divisors) % width === 0;
    // position < high, and low − 1 < position, with all of them multiples of the width.
    const isHigh = equal(from.right, to.right) && equal(subtract(to.left, from.left), k);
    if (isHigh) return fits(from.left) && fits(from.right);
    const isLow = equal(from.left, to.left) && equal(subtract(to.right, from.right), k);
    return isLow && fits(from.right) && fits(subtract(from.left, -1));
  });
}

function lessThanOf(e: Expression): Operation | undefined {
  if (typeof e === 'number' || e.constant !== 0 || e.terms.length !== 1) return undefined;
  const [term] = e.terms;
  const atom = term?.coefficient === 1 && term.atoms.length === 1 ? term.atoms[0] : undefined;
  return atom?.kind === 'lessThan' ? atom : undefined;
}
