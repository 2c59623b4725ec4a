/**
 * Scatter along axis 0: a copy of the data (none where it may be written over), then every
 * update in index order. Tasks share no element: each takes one position of the rows, or, where
 * vectors are, a block of them.
 */
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  product,
  type Size,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { fromMemory, lowerBinary, rawType, toMemory } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { lanesFor } from './fused.js';
import { failReasons, type LoweredKernel } from './lowered.js';
import { lowerMap } from './map.js';
import { writeTiles } from './nest.js';
import { loadElement, taskAxis } from './sequential.js';
import type { Access } from './tile.js';

/** A kernel that copies `from` into the memory of `to`; both have the same number of elements. */
export function lowerCopy(from: Node, to: Node, target: Target, names: KernelNames): LoweredKernel {
  const copy = lowerMap(
    { kind: 'kernel', pattern: 'map', anchor: from, inputs: [from], outputs: [from] },
    target,
    { ...names, name: `${names.name}_copy` },
  );
  return { ...copy, arguments: [to, from] };
}

/** Elements of a block of a row at least: a task reads all indices. */
const leastBlock = 64;

/** Elements of a row that a task takes in vectors; undefined where it takes one. */
function blockOf(target: Target, row: Size, lanes: number): number | undefined {
  if (target.execution !== 'vector' || lanes < 2) return undefined;
  if (typeof row !== 'number') return 4 * leastBlock;
  if (row < lanes) return undefined;
  const fair = Math.ceil(row / target.cores / lanes) * lanes;
  return Math.min(Math.max(fair, leastBlock), row);
}

export function lowerScatter(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'scatter'>;
  const [data, indices, updates] = node.inputs as [Node, Node, Node];
  const { kind } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const at = frame.input(indices) as string;
  const from = frame.input(updates) as string;
  const to = frame.output(step.outputs[0] as Node, 'readWrite');
  const row = product(node.shape.slice(1));
  const rows = node.shape[0] as Size;
  const lanes = lanesFor(target, node.dtype);
  const block = blockOf(target, row, lanes);
  const task = taskAxis(b, block === undefined ? row : ceilDivide(row, block));
  /** Updates of a tile, of which `tail` lanes count, or of an element. */
  const update = (
    i: Expression,
    position: Expression,
    base: Expression,
    shape: readonly [number] | readonly [],
    tail?: Expression,
  ): void => {
    const limits = tail === undefined ? {} : { limits: [{ high: tail }] };
    const type = { dtype: rawType(node.dtype), shape };
    const accessTo = (buffer: string, line: Expression): Access => {
      return {
        buffer,
        address: add(multiply(line, row), base),
        strides: shape.map(() => 1),
        ...limits,
      };
    };
    const given = fromMemory(b, node.dtype, b.load(type, accessTo(from, i)));
    let next = given;
    if (kind !== 'replace') {
      const raw = b.load(type, accessTo(to, position), { volatile: true });
      const old = fromMemory(b, node.dtype, raw);
      const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
      next = lowerBinary(b, target, name, node.dtype, old, given, () => {});
    }
    b.store(accessTo(to, position), toMemory(b, node.dtype, next));
  };
  b.for(0, product(indices.shape), 1, (i: Expression) => {
    const index = b.convert(loadElement(b, at, indices, i), 'i64');
    const limit = b.convert(b.scalar(rows), 'i64');
    const zero = b.literal('i64', 0);
    const outside = b.or(b.less(index, zero), b.lessEqual(limit, index));
    b.fail(outside, names.failBase + failReasons.indexOutOfRange);
    b.if(b.not(outside), () => {
      const position = b.name(b.convert(index, b.indexType), rows);
      if (block === undefined) {
        update(i, position, task.index, []);
        return;
      }
      const start = multiply(task.index, block);
      const end = task.grid.length === 0 ? row : minimum(add(start, block), row);
      writeTiles(b, start, end, lanes, (base, tail) => update(i, position, base, [lanes], tail));
    });
  });
  const shape = { lanes: block === undefined ? 1 : lanes, group: 1, grid: task.grid };
  const main = frame.finish(names, shape);
  if (step.over !== undefined) return [main];
  return [lowerCopy(data, step.outputs[0] as Node, target, names), main];
}
