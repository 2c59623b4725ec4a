/** Stable sort of lines that one task each sorts whole (see sort-entries.ts). */
import { add, type Expression, multiply, product, subtract } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { keyLanes } from '../schedule/top.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { elementOf, type Line, loadKeys, writeLines } from './line-tasks.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { aroundAxis, lineAddress, loadElement, storeElement } from './sequential.js';
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
  const lanes = keyLanes(target, keys);
  const tile = chunkTile(lanes, length);
  const chunk = chunkMemory(frame, order, tile.lanes * tile.vectors);
  const bytes = orderType(keys.dtype) === 'i32' ? 16 : 24;
  const lines = product([around.outer, around.inner]);
  const entriesOf = (number: Expression): EntryMemory =>
    typeof length === 'number' && length * bytes <= largestScratch
      ? entryScratch(frame, order, length)
      : entryWorkspace(frame, order, length, [number, lines]);
  const grid = writeLines(frame, keys, { axis, lanes }, (line, outer, inner) => {
    const entries = entriesOf(add(multiply(outer, around.inner), inner));
    const start = b.bind(lineAddress(around, outer, inner));
    const write = payloadWriter(frame, node, line, (position) =>
      add(start, multiply(position, around.inner)),
    );
    const source = lineSource(b, line, order, { lanes, orders: chunk.orders });
    new EntrySorter(b, order, tile, { chunk, entries }).sort(length, length, source, write);
  });
  return [frame.finish(names, { lanes, group: 1, grid })];
}

/** A payload with where it goes, and what it has at an element of the line. */
interface Moved {
  readonly payload: Node;
  readonly to: string;
  readonly value: (at: Expression, position: Value) => Value;
}

/** Writes keys and payloads of an entry to its place in the outputs of a sort. */
function payloadWriter(
  frame: KernelFrame,
  node: NodeOf<'sort'>,
  line: Line,
  addressOf: (position: Expression) => Expression,
): (place: Expression, position: Value) => void {
  const { builder: b, step } = frame;
  const moved = node.inputs.flatMap((payload, index): readonly Moved[] => {
    const output = step.outputs.find(
      (candidate) => candidate.op === 'part' && candidate.attributes.index === index,
    );
    if (output === undefined) return [];
    const to = frame.output(output);
    const isPlace = payload.op === 'iota' && payload.attributes.axis === node.attributes.axis;
    if (isPlace) {
      const dtype = computeType(payload.dtype);
      return [{ payload, to, value: (_, position) => b.convert(position, dtype) }];
    }
    const from = frame.input(payload) as string;
    const value = (at: Expression): Value =>
      index === 0
        ? loadElement(b, line.buffer, payload, elementOf(line, at))
        : loadElement(b, from, payload, addressOf(at));
    return [{ payload, to, value }];
  });
  return (place, position) => {
    const at = b.name(b.convert(position, b.indexType), line.length);
    for (const { payload, to, value } of moved) {
      storeElement(b, to, payload, addressOf(place), value(at, position));
    }
  };
}
