/**
 * Tasks over the lines of an axis: one line each; or, where lines lie beside each other, as many
 * neighbours as a vector holds, which are read together and laid out one after the other.
 */
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  type Size,
  subtract,
} from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Node } from '../graph/node.js';
import type { KernelBuilder, Value } from './builder.js';
import { fromMemory, memoryType, rawType } from './elementwise.js';
import type { KernelFrame } from './frame.js';
import { dividesBy } from './left-pack.js';
import { aroundAxis, lineAddress, taskAxis } from './sequential.js';
import type { GridAxis } from './tile.js';

/** The keys of a line in order. */
export interface Line {
  readonly buffer: string;
  readonly node: Node;
  /** Address of the first, and the distance from one to the next. */
  readonly start: Expression;
  readonly stride: Expression;
  readonly length: Expression;
}

export const elementOf = (line: Line, position: Expression): Expression =>
  add(line.start, multiply(position, line.stride));

/** A tile of keys from a position on. */
export function loadKeys(
  b: KernelBuilder,
  line: Line,
  position: Expression,
  lanes: number,
  high?: Expression,
): Value {
  const { buffer, stride, node } = line;
  const limits = high === undefined ? {} : { limits: [{ high }] };
  const access = { buffer, address: elementOf(line, position), strides: [stride], ...limits };
  const type = { dtype: rawType(node.dtype), shape: [lanes] };
  return fromMemory(b, node.dtype, b.load(type, access));
}

/** Most bytes of neighbours that are copied: what is kept near for them. */
const largestCopy = 2 ** 17;

/** Writes the code for one line, whose keys are at `line`; `outer` and `inner` number it. */
type WriteLine = (line: Line, outer: Expression, inner: Expression) => void;

export function writeLines(
  frame: KernelFrame,
  node: Node,
  { axis, lanes }: { readonly axis: number; readonly lanes: number },
  write: WriteLine,
): readonly GridAxis[] {
  const { builder: b } = frame;
  const around = aroundAxis(node.shape, axis);
  const { length, inner: beside } = around;
  const buffer = frame.input(node) as string;
  const outer = taskAxis(b, around.outer);
  if (typeof length !== 'number' || !copiesLines(node, length, beside, lanes)) {
    const inner = taskAxis(b, beside);
    const start = b.bind(lineAddress(around, outer.index, inner.index));
    write({ buffer, node, start, stride: beside, length }, outer.index, inner.index);
    return [...outer.grid, ...inner.grid];
  }
  const group = taskAxis(b, ceilDivide(beside, lanes));
  const first = b.bind(multiply(group.index, lanes));
  const count = b.bind(minimum(lanes, subtract(beside, first)));
  const pitch = (Math.ceil(length / lanes) + 1) * lanes;
  const copy = frame.scratch(memoryType(node.dtype), pitch * lanes);
  const dtype = rawType(node.dtype);
  const start = b.bind(lineAddress(around, outer.index, first));
  const limit = dividesBy(beside, lanes) ? {} : { high: count };
  const from = (row: Expression): Expression => add(start, multiply(row, beside));
  const whole = length - (length % lanes);
  if (whole > 0) {
    b.for(0, whole, lanes, (row) => {
      const strides = [beside, 1];
      const access = { buffer, address: from(row), strides, limits: [{}, limit] };
      const block = b.load({ dtype, shape: [lanes, lanes] }, access);
      b.store({ buffer: copy, address: row, strides: [pitch, 1] }, b.transpose(block));
    });
  }
  for (let row = whole; row < length; row++) {
    const access = { buffer, address: from(row), strides: [1], limits: [limit] };
    const keys = b.load({ dtype, shape: [lanes] }, access);
    b.store({ buffer: copy, address: row, strides: [pitch] }, keys);
  }
  b.for(0, count, 1, (lane) => {
    const line: Line = { buffer: copy, node, start: multiply(lane, pitch), stride: 1, length };
    write(line, outer.index, add(first, lane));
  });
  return [...outer.grid, ...group.grid];
}

function copiesLines(node: Node, length: number, beside: Size, lanes: number): boolean {
  const bytes = (length + 2 * lanes) * lanes * bytesOfMemory[memoryType(node.dtype)];
  const areMany = typeof beside !== 'number' || beside >= lanes;
  return beside !== 1 && areMany && bytes <= largestCopy;
}
