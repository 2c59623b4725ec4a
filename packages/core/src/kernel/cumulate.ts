/**
 * Prefix sums and their kin: by tiles where the machine has vectors (cumulate-tiles.ts), else one
 * task walks one line along the axis.
 */
import { add, type Expression, multiply, subtract } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import { accumulateType } from '../graph/ops.js';
import type { KernelStep } from '../schedule/step.js';
import { lowerCumulateTiles } from './cumulate-tiles.js';
import { literalOf, lowerBinary } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { identityOf } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { aroundAxis, lineAddress, loadElement, storeElement, taskAxis } from './sequential.js';

export function lowerCumulate(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const tiles = lowerCumulateTiles(step, target, names);
  if (tiles !== undefined) return tiles;
  const node = step.anchor as NodeOf<'cumulate'>;
  const { kind, axis, exclusive, reverse } = node.attributes;
  const x = node.inputs[0] as Node;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const from = frame.input(x) as string;
  const to = frame.output(step.outputs[0] as Node);
  const around = aroundAxis(node.shape, axis);
  const outer = taskAxis(b, around.outer);
  const inner = taskAxis(b, around.inner);
  const start = lineAddress(around, outer.index, inner.index);
  // As the op table's bound: narrow floats are rounded in the results, not in the running total.
  const running = accumulateType(node.dtype);
  const total = b.variable(literalOf(b, node.dtype, identityOf(kind, node.dtype)));
  const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
  b.for(0, around.length, 1, (i: Expression) => {
    const position = reverse ? subtract(subtract(around.length, 1), i) : i;
    const address = add(start, multiply(position, around.inner));
    const before = b.read(total);
    const value = loadElement(b, from, x, address);
    const after = lowerBinary(b, target, name, running, before, value, () => {});
    storeElement(b, to, node, address, exclusive ? before : after);
    b.assign(total, after);
  });
  const grid = [...outer.grid, ...inner.grid];
  return [frame.finish(names, { lanes: 1, group: 1, grid })];
}
