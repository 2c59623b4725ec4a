/** Which integers a value can be: what its types and constants say, without running anything. */
import { dtypeFacts, isInteger } from '../base/dtype.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';

export type Range = readonly [number, number];

const views: ReadonlySet<string> = new Set('reshape permute expand slice flip'.split(' '));

/** Elements of a constant that are looked at: of a longer one no operation is folded either. */
const mostElements = 2 ** 16;

function rangeOfType(node: Node): Range | undefined {
  const { bits, kind } = dtypeFacts[node.dtype];
  if (!isInteger(node.dtype) || bits > 32) return undefined;
  return kind === 'signed' ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

/** Least and greatest value; undefined for what is no integer of up to 32 bits. */
export function integerRange(step: KernelStep, node: Node): Range | undefined {
  const type = rangeOfType(node);
  if (type === undefined) return undefined;
  if (node.op === 'constant') return rangeOfConstant(node) ?? type;
  if (step.inputs.some((input) => input.id === node.id)) return type;
  const found = rangeOfOperation(step, node);
  // What leaves the type's range wraps: then nothing is known beyond the type.
  const fits = found !== undefined && found[0] >= type[0] && found[1] <= type[1];
  return fits ? found : type;
}

function rangeOfOperation(step: KernelStep, node: Node): Range | undefined {
  const [a, b] = node.inputs.map((input) => integerRange(step, input));
  if (a === undefined) return undefined;
  if (node.op === 'cast' || views.has(node.op)) return a;
  if (b === undefined) return undefined;
  if (node.op === 'add') return [a[0] + b[0], a[1] + b[1]];
  return node.op === 'subtract' ? [a[0] - b[1], a[1] - b[0]] : undefined;
}

function rangeOfConstant(node: Extract<Node, { op: 'constant' }>): Range | undefined {
  const { data } = node.attributes.tensor;
  if (data.length === 0 || data.length > mostElements) return undefined;
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    const number = Number(data[i]);
    least = Math.min(least, number);
    greatest = Math.max(greatest, number);
  }
  return [least, greatest];
}
