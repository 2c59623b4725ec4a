/**
 * Reductions over a whole group by bundles, which are the threads that a chip runs together: each
 * combines its own values, and one word per bundle goes through shared memory. How many threads a
 * bundle has, and which, is known only as the kernel runs.
 */
import { lessThan, variable } from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import type { TileReduction } from '../kernel/tile.js';
import { bundleCountName, bundleLaneName, bundleName, type Operand } from './thread-program.js';
import { cell, type ThreadWriter } from './thread-writer.js';

const words: ReadonlySet<ComputeType> = new Set(['f32', 'i32', 'u32']);
const bitwise: ReadonlySet<TileReduction> = new Set(['and', 'or', 'xor']);

/** Whether bundles may combine `parts`: one value per thread, of all threads of the group. */
export function hasBundles(
  w: ThreadWriter,
  how: TileReduction,
  threads: number,
  parts: readonly Operand[],
): boolean {
  const [only] = parts;
  if (!w.bundles || parts.length !== 1 || only === undefined || threads !== w.group) return false;
  if (only.dtype === 'bool') return how === 'and' || how === 'or';
  return words.has(only.dtype) && !(only.dtype === 'f32' && bitwise.has(how));
}

/** Every thread gets the result. */
export function combineBundles(w: ThreadWriter, how: TileReduction, part: Operand): Operand {
  const { dtype } = part;
  const own = w.define(w.fresh('b_'), dtype, { kind: 'bundle', name: how, a: part });
  // At worst each thread is a bundle of its own.
  const memory = w.exchangeArray(dtype, w.group);
  const name = w.fresh('p_');
  const total: Operand = { kind: 'name', name, dtype };
  const body = w.inside(() => {
    const guard = [lessThan(variable(bundleLaneName, w.group), 1)];
    const element = { ...cell(memory, variable(bundleName, w.group)), guard };
    w.push({ kind: 'store', element, value: own }, { kind: 'barrier', global: false });
    const read = (index: number | string): Operand =>
      w.define(w.fresh('o_'), dtype, {
        kind: 'load',
        element: cell(memory, typeof index === 'number' ? index : variable(index, w.group)),
        other: 0,
      });
    w.push({ kind: 'variable', name, dtype, initial: read(0) });
    const index = w.fresh('k_');
    const turn = w.inside(() => {
      const b = read(index);
      const operation = { kind: 'binary', name: how, a: total, b } as const;
      w.push({ kind: 'assign', name, dtype, operation });
    });
    const end = variable(bundleCountName, w.group + 1);
    w.push({ kind: 'for', index, start: 1, end, step: 1, unroll: 1, body: turn });
  });
  w.push({ kind: 'exchange', memory, body });
  return total;
}
