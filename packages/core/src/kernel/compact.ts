/** Keeps the rows whose mask is true, in order; counts them; zeroes the rest. */
import { add, type Expression, multiply, product, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { literalOf } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { loadElement, storeElement } from './sequential.js';

export function lowerCompact(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'compact'>;
  const [mask, values] = node.inputs as [Node, Node];
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const chosen = frame.input(mask) as string;
  const from = frame.input(values) as string;
  const part = (index: number): Node | undefined =>
    step.outputs.find((output) => output.op === 'part' && output.attributes.index === index);
  const kept = part(0);
  const counted = part(1);
  const to = kept === undefined ? undefined : frame.output(kept);
  const rows = values.shape[0] as Size;
  const row = product(values.shape.slice(1));
  const count = b.variable(b.scalar(0));
  const copyRow = (write: (offset: Expression) => void): void => b.for(0, row, 1, write);
  b.for(0, rows, 1, (i) => {
    b.if(loadElement(b, chosen, mask, i), () => {
      const position = b.name(b.read(count), rows);
      if (to !== undefined) {
        copyRow((k) => {
          const value = loadElement(b, from, values, add(multiply(i, row), k));
          storeElement(b, to, values, add(multiply(position, row), k), value);
        });
      }
      b.assign(count, b.add(b.read(count), b.scalar(1)));
    });
  });
  const total = b.read(count);
  if (to !== undefined) {
    const first = multiply(b.name(total, add(rows, 1)), row);
    const zero = literalOf(b, values.dtype, 0);
    b.for(first, multiply(rows, row), 1, (k) => storeElement(b, to, values, k, zero));
  }
  if (counted !== undefined) {
    storeElement(b, frame.output(counted), counted, 0, b.convert(total, 'i64'));
  }
  return [frame.finish(names, { lanes: 1, group: 1, grid: [] })];
}
