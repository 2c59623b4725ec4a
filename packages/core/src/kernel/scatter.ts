/**
 * Scatter along axis 0: a copy of the data (none where it may be written over), then every
 * update in index order. Tasks share no
 * element: each takes one position of the rows.
 */
import { add, type Expression, multiply, product, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { lowerBinary } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { failReasons, type LoweredKernel } from './lowered.js';
import { lowerMap } from './map.js';
import { loadElement, storeElement, taskAxis } from './sequential.js';

/** A kernel that copies `from` into the memory of `to`; both have the same number of elements. */
export function lowerCopy(from: Node, to: Node, target: Target, names: KernelNames): LoweredKernel {
  const copy = lowerMap(
    { kind: 'kernel', pattern: 'map', anchor: from, inputs: [from], outputs: [from] },
    target,
    { ...names, name: `${names.name}_copy` },
  );
  return { ...copy, arguments: [to, from] };
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
  const task = taskAxis(b, row);
  b.for(0, product(indices.shape), 1, (i: Expression) => {
    const index = b.convert(loadElement(b, at, indices, i), 'i64');
    const limit = b.convert(b.scalar(rows), 'i64');
    const zero = b.literal('i64', 0);
    const outside = b.or(b.less(index, zero), b.lessEqual(limit, index));
    b.fail(outside, names.failBase + failReasons.indexOutOfRange);
    b.if(b.not(outside), () => {
      const position = b.name(b.convert(index, b.indexType), rows);
      const address = add(multiply(position, row), task.index);
      const update = loadElement(b, from, updates, add(multiply(i, row), task.index));
      if (kind === 'replace') storeElement(b, to, node, address, update);
      else {
        const old = loadElement(b, to, node, address, true);
        const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
        const next = lowerBinary(b, target, name, node.dtype, old, update, () => {});
        storeElement(b, to, node, address, next);
      }
    });
  });
  const main = frame.finish(names, { lanes: 1, group: 1, grid: task.grid });
  if (step.over !== undefined) return [main];
  return [lowerCopy(data, step.outputs[0] as Node, target, names), main];
}
