/** A slice written into a copy of the data or over it, at offsets that are known at run time. */
import {
  add,
  type Expression,
  multiply,
  product,
  type Size,
  subtract,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { lowerCopy } from './scatter.js';
import { loadElement, storeElement, taskAxis } from './sequential.js';
import { stridesOf, unflatten } from './view-index.js';

/** The offset moved inside, as `update` defines. */
function clampOffset(b: KernelBuilder, offset: Value, most: Size): Value {
  const least = b.binary('maximum', b.convert(offset, 'i64'), b.literal('i64', 0));
  return b.binary('minimum', least, b.convert(b.scalar(most), 'i64'));
}

export function lowerUpdate(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'update'>;
  const [data, piece, offsets] = node.inputs as [Node, Node, Node];
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const at = frame.input(offsets) as string;
  const from = frame.input(piece) as string;
  const to = frame.output(step.outputs[0] as Node);
  const starts: Expression[] = node.shape.map((size, axis) => {
    const most = subtract(size, piece.shape[axis] as Size);
    const offset = clampOffset(b, loadElement(b, at, offsets, axis), most);
    return b.name(b.convert(offset, b.indexType), add(most, 1));
  });
  const strides = stridesOf(node.shape);
  const last = node.shape.length === 0 ? 1 : (piece.shape.at(-1) as Size);
  const rows = product(piece.shape.slice(0, -1));
  const task = taskAxis(b, rows);
  const outer = unflatten(piece.shape.slice(0, -1), task.index);
  b.for(0, last, 1, (i: Expression) => {
    const index = node.shape.length === 0 ? [] : [...outer, i];
    const place = index.map((k, axis) =>
      multiply(add(k, starts[axis] as Expression), strides[axis] as Size),
    );
    const value = loadElement(b, from, piece, add(multiply(task.index, last), i));
    storeElement(b, to, node, add(0, ...place), value);
  });
  const main = frame.finish(names, { lanes: 1, group: 1, grid: task.grid });
  if (step.over !== undefined) return [main];
  return [lowerCopy(data, step.outputs[0] as Node, target, names), main];
}
