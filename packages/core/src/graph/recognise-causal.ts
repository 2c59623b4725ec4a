/** Finds causality in masks that are constants: a lower triangle that leaves scores as they are. */
import type { Size } from '../base/expression.js';
import { type HostTensor, readElement } from '../base/host-tensor.js';
import { lookInto } from '../base/looked-at.js';
import { isOp, type Node } from './node.js';
import { inputOf } from './simplify-match.js';

/** What is added to scores forbids from here on: they would need this magnitude to matter. */
export const forbids = -1e30;
/** Largest constant that is looked at. */
const mostElements = 2 ** 24;

const known = new WeakMap<HostTensor, number | null>();

/** The constant under views that only repeat it. */
function constantBelow(node: Node): HostTensor | undefined {
  let current = node;
  while (current.op === 'expand' || current.op === 'reshape') current = inputOf(current, 0);
  return isOp(current, 'constant') ? current.attributes.tensor : undefined;
}

/** Last key that query 0 sees, where row i sees exactly the keys up to i + that many. */
function triangleOf(tensor: HostTensor, rows: number, columns: number): number | undefined {
  const isBool = tensor.dtype === 'bool';
  const sees = (at: number): boolean | undefined => {
    const value = Number(readElement(tensor, at));
    if (isBool) return value !== 0;
    return value === 0 ? true : value <= forbids ? false : undefined;
  };
  let last = 0;
  while (last < columns && sees(last) === true) last++;
  const offset = last - 1;
  if (offset < 0) return undefined;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (sees(row * columns + column) !== column <= row + offset) return undefined;
    }
  }
  return offset;
}

/** The causal offset of a constant bias or mask over scores of this shape, if it is causal. */
export function causalOffsetOf(node: Node, scores: readonly Size[]): number | undefined {
  const tensor = constantBelow(node);
  const [rows, columns] = scores.slice(-2);
  if (tensor === undefined || typeof rows !== 'number' || typeof columns !== 'number') {
    return undefined;
  }
  const { shape, data } = tensor;
  const fits = shape.at(-2) === rows && shape.at(-1) === columns && data.length === rows * columns;
  if (!fits || data.length > mostElements || rows < 2) return undefined;
  lookInto(tensor);
  const found = known.get(tensor) ?? triangleOf(tensor, rows, columns) ?? null;
  known.set(tensor, found);
  return found ?? undefined;
}
