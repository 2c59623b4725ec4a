/**
 * Pieces for kernels that walk memory element by element: scans, sorts, compaction, indices of a
 * scatter. A task is one row, so rows still run in parallel.
 */
import {
  add,
  type Expression,
  multiply,
  product,
  type Size,
  variable,
} from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelBuilder, Value } from './builder.js';
import { fromMemory, rawType, toMemory } from './elementwise.js';
import type { GridAxis } from './tile.js';

/** One task per value of `extent`; nothing where it is 1. */
export function taskAxis(
  b: KernelBuilder,
  extent: Size,
): { readonly grid: readonly GridAxis[]; readonly index: Expression } {
  if (extent === 1) return { grid: [], index: 0 };
  const name = b.fresh('g');
  return { grid: [{ name, extent }], index: variable(name, extent) };
}

/** The value of one element; `volatile` for memory that the kernel writes. */
export function loadElement(
  b: KernelBuilder,
  buffer: string,
  node: Pick<Node, 'dtype'>,
  address: Expression,
  volatile = false,
): Value {
  const raw = loadWord(b, buffer, rawType(node.dtype), address, volatile);
  return fromMemory(b, node.dtype, raw);
}

export function storeElement(
  b: KernelBuilder,
  buffer: string,
  node: Pick<Node, 'dtype'>,
  address: Expression,
  value: Value,
): void {
  b.store({ buffer, address, strides: [] }, toMemory(b, node.dtype, value));
}

/** A raw word of memory, without conversion. */
export function loadWord(
  b: KernelBuilder,
  buffer: string,
  type: ComputeType,
  address: Expression,
  volatile = true,
): Value {
  const access = { buffer, address, strides: [] };
  return b.load({ dtype: type, shape: [] }, access, { volatile });
}

/** Sizes before, along and after one axis: [outer, length, inner]. */
export function aroundAxis(
  shape: readonly Size[],
  axis: number,
): { readonly outer: Size; readonly length: Size; readonly inner: Size } {
  return {
    outer: product(shape.slice(0, axis)),
    length: shape[axis] as Size,
    inner: product(shape.slice(axis + 1)),
  };
}

/** Address of the first element of line `line` of an axis, and the stride along it. */
export function lineAddress(
  around: { readonly length: Size; readonly inner: Size },
  outer: Expression,
  inner: Expression,
): Expression {
  return add(multiply(outer, around.length, around.inner), inner);
}
