/** Stable sort of lines that one task each sorts whole (see sort-entries.ts). */
import { add, type Expression, multiply, product, subtract } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { keyLanes } from '../schedule/top.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType, fromMemory, rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { aroundAxis, lineAddress, loadElement, storeElement, taskAxis } from './sequential.js';
import {
  type ChunkMemory,
  type EntryMemory,
  EntrySorter,
  type EntrySource,
  halfLength,
} from './sort-entries.js';
import { type KeyOrder, orderOf, orderType } from './sort-order.js';

/** Most bytes of entries in memory of a task; longer lines have theirs in a workspace. */
const largestScratch = 2 ** 20;
/** Vectors of a chunk: comparing grows with their square, and they stay in registers. */
const chunkVectors = 4;

export const chunkTile = (
  lanes: number,
  length: Expression,
): { readonly lanes: number; readonly vectors: number } => ({
  lanes,
  vectors:
    typeof length === 'number'
      ? Math.max(1, Math.min(chunkVectors, Math.ceil(length / lanes)))
      : chunkVectors,
});

export function chunkMemory(frame: KernelFrame, order: KeyOrder, elements: number): ChunkMemory {
  const word = orderType(order.dtype);
  return {
    orders: frame.scratch(word, elements),
    ranks: frame.scratch(word, elements),
    lanes: frame.scratch('i32', elements),
  };
}

/** Entries of `capacity` in memory of the task. */
export function entryScratch(frame: KernelFrame, order: KeyOrder, capacity: number): EntryMemory {
  const length = 2 * (halfLength(capacity) as number);
  const words = frame.scratch('i64', length);
  if (orderType(order.dtype) === 'i32') return { words, base: 0, capacity };
  return { words, positions: frame.scratch('i32', length), base: 0, capacity };
}

/** Entries of a line among all `lines` of a workspace. */
function entryWorkspace(
  frame: KernelFrame,
  order: KeyOrder,
  capacity: Expression,
  [line, lines]: readonly [Expression, Expression],
): EntryMemory {
  const each = multiply(2, halfLength(capacity));
  const make = (id: number, dtype: 'i32' | 'i64', bytes: number): string => {
    const elements = multiply(lines, each);
    const made: Workspace = {
      kind: 'workspace',
      id,
      bytes: multiply(bytes, elements),
      constant: false,
    };
    return frame.workspace(made, dtype, 'readWrite');
  };
  const words = make(0, 'i64', 8);
  const base = multiply(line, each);
  if (orderType(order.dtype) === 'i32') return { words, base, capacity };
  return { words, positions: make(1, 'i32', 4), base, capacity };
}

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

/** All of a line, in vectors. */
export function lineSource(
  b: KernelBuilder,
  line: Line,
  order: KeyOrder,
  { lanes, orders }: { readonly lanes: number; readonly orders: string },
): EntrySource {
  return {
    fill: (start, size, vectors) => {
      for (let block = 0; block < vectors; block++) {
        const first = block * lanes;
        const isWhole = typeof size === 'number' && first + lanes <= size;
        const high = isWhole ? undefined : subtract(size, first);
        const keys = loadKeys(b, line, add(start, first), lanes, high);
        b.store({ buffer: orders, address: first, strides: [1] }, orderOf(b, order, keys));
      }
    },
    position: (number) => b.convert(b.scalar(number), 'i32'),
  };
}

export function lowerLineSort(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'sort'>;
  const keys = node.inputs[0] as Node;
  const { axis, descending } = node.attributes;
  const order = { dtype: keys.dtype, descending };
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const around = aroundAxis(keys.shape, axis);
  const { length } = around;
  const buffer = frame.input(keys) as string;
  const outer = taskAxis(b, around.outer);
  const inner = taskAxis(b, around.inner);
  const start = b.bind(lineAddress(around, outer.index, inner.index));
  const line: Line = { buffer, node: keys, start, stride: around.inner, length };
  const lanes = keyLanes(target, keys);
  const tile = chunkTile(lanes, length);
  const chunk = chunkMemory(frame, order, tile.lanes * tile.vectors);
  const number = add(multiply(outer.index, around.inner), inner.index);
  const lines = product([around.outer, around.inner]);
  const bytes = orderType(keys.dtype) === 'i32' ? 16 : 24;
  const entries =
    typeof length === 'number' && length * bytes <= largestScratch
      ? entryScratch(frame, order, length)
      : entryWorkspace(frame, order, length, [number, lines]);
  const sorter = new EntrySorter(b, order, tile, { chunk, entries });
  const write = payloadWriter(frame, node, line);
  sorter.sort(length, length, lineSource(b, line, order, { lanes, orders: chunk.orders }), write);
  return [frame.finish(names, { lanes, group: 1, grid: [...outer.grid, ...inner.grid] })];
}

/** Writes keys and payloads of an entry to its place in the outputs of a sort. */
function payloadWriter(
  frame: KernelFrame,
  node: NodeOf<'sort'>,
  line: Line,
): (place: Expression, position: Value) => void {
  const { builder: b, step } = frame;
  const moved = node.inputs.flatMap((payload, index) => {
    const output = step.outputs.find(
      (candidate) => candidate.op === 'part' && candidate.attributes.index === index,
    );
    if (output === undefined) return [];
    const to = frame.output(output);
    const isPlace = payload.op === 'iota' && payload.attributes.axis === node.attributes.axis;
    return [{ payload, to, from: isPlace ? undefined : (frame.input(payload) as string) }];
  });
  return (place, position) => {
    const at = b.name(b.convert(position, b.indexType), line.length);
    for (const { payload, to, from } of moved) {
      const value =
        from === undefined
          ? b.convert(position, computeType(payload.dtype))
          : loadElement(b, from, payload, elementOf(line, at));
      storeElement(b, to, payload, elementOf(line, place), value);
    }
  };
}
