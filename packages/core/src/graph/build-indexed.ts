/** Builders of lookups, scatters, sorts and of sizes that come from data. */
import { isInteger } from '../base/dtype.js';
import { product, type Size } from '../base/expression.js';
import { normalizeAxis } from './build-views.js';
import { make } from './make.js';
import type { Node, ScatterKind } from './node.js';
import { dtypeError, shapeError } from './rule.js';
import { shapeValues } from './shape-values.js';
import { elementSymbol } from './symbols.js';

/** Result `index` of a node with several. */
export function part(node: Node, index: number): Node {
  return make('part', [node], { index });
}

/** data[:axis] + indices.shape + data[axis+1:]; indices in [0, size), else the program fails. */
export function gather(data: Node, indices: Node, axis = 0): Node {
  return make('gather', [data, indices], {
    axis: normalizeAxis('gather', axis, data.shape.length),
  });
}

/** Writes or combines updates[m, …] at rows indices[m] of data[n, …], in index order. */
export function scatter(kind: ScatterKind, data: Node, indices: Node, updates: Node): Node {
  return make('scatter', [data, indices, updates], { kind });
}

export interface SortOptions {
  readonly axis?: number;
  readonly descending?: boolean;
}

/** Sorted keys, then payloads in the same order; stable, NaN last. */
export function sort(
  keys: Node,
  payloads: readonly Node[] = [],
  { axis = -1, descending = false }: SortOptions = {},
): Node[] {
  const at = normalizeAxis('sort', axis, keys.shape.length);
  const node = make('sort', [keys, ...payloads], { axis: at, descending });
  return node.results.map((_, index) => part(node, index));
}

/** [values[n, …] with the chosen first and zeros after, their count i64[]]. */
export function compact(mask: Node, values: Node): [values: Node, count: Node] {
  const node = make('compact', [mask, values], {});
  return [part(node, 0), part(node, 1)];
}

/**
 * Element `index` (row-major) of a small integer tensor as a size: a number or an expression
 * where it follows from other sizes, else a symbol that is bound when the tensor is known.
 */
export function elementSize(
  node: Node,
  index: number,
  options: { readonly minimum?: number } = {},
): Size {
  if (!isInteger(node.dtype)) throw dtypeError('size', node.dtype, 'sizes are integers');
  const count = product(node.shape);
  if (typeof count === 'number' && (index < 0 || index >= count)) {
    throw shapeError('size', `element ${index} of ${count}`);
  }
  return shapeValues(node)?.[index] ?? elementSymbol(node, index, options.minimum ?? 0);
}
