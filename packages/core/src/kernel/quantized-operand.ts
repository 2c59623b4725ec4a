/**
 * Constant weights that are small integers times a scale: found in the operand's own operations,
 * whoever wrote them (block-quantized products, dequantized tensors), so that a kernel can read
 * one byte for a weight.
 */
import { commonDivisor } from '../base/divisor.js';
import { type Expression, evaluate, variablesOf } from '../base/expression.js';
import { lookInto } from '../base/looked-at.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { ContractPlan } from './contract-plan.js';
import { literalOf } from './elementwise.js';
import { KernelFrame } from './frame.js';
import { integerRange, type Range } from './integer-range.js';
import { ValueLowering } from './value.js';

export interface QuantizedOperand {
  /** Where levels and scales meet. */
  readonly product: Node;
  /** Small integers, as floats or as integers. */
  readonly levels: Node;
  /** What is taken off the levels; nothing where they are what is scaled. */
  readonly zeros: Node | undefined;
  readonly scales: Node;
  /** Steps of the depth that share a scale, and a zero. */
  readonly group: number;
  /** Bits that hold every level, as a signed or an unsigned integer. */
  readonly bits: 4 | 8;
  readonly isSigned: boolean;
}

const views: ReadonlySet<string> = new Set('reshape permute expand slice flip'.split(' '));

/** Range of a float node whose values are integers; undefined where that is not known. */
function wholeRange(plan: ContractPlan, node: Node): Range | undefined {
  const x = node.inputs[0];
  if (node.op === 'cast' && x !== undefined) return integerRange(plan.step, x);
  if (views.has(node.op) && x !== undefined) return wholeRange(plan, x);
  if (node.op === 'constant') return rangeOfNumbers(lookInto(node.attributes.tensor).data);
  if (node.op !== 'subtract' && node.op !== 'add') return undefined;
  const [a, b] = node.inputs.map((input) => wholeRange(plan, input));
  if (a === undefined || b === undefined) return undefined;
  return node.op === 'add' ? [a[0] + b[0], a[1] + b[1]] : [a[0] - b[1], a[1] - b[0]];
}

/** Elements of a constant that are looked at. */
const mostElements = 2 ** 20;

function rangeOfNumbers(data: ArrayLike<unknown>): Range | undefined {
  if (data.length === 0 || data.length > mostElements) return undefined;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    if (!Number.isInteger(value)) return undefined;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** Addresses that scales and zeros are read from, over the contraction's axes. */
function groupAddresses(plan: ContractPlan, target: Target, operand: Candidate) {
  const seen: Expression[] = [];
  const frame = new KernelFrame(plan.step, target);
  const values: ValueLowering = new ValueLowering({
    builder: frame.builder,
    target,
    bufferOf: (node) => frame.input(node),
    finish: (e) => e,
    tile: [],
    known: (node, index) => {
      if (node.id !== operand.product.id) return undefined;
      values.value(operand.scales, index);
      if (operand.zeros !== undefined) values.value(operand.zeros, index);
      return literalOf(frame.builder, node.dtype, 0);
    },
    failBase: 0,
    record: (e) => seen.push(e),
  });
  values.value(plan.right.node, plan.right.index);
  return seen;
}

/** The longest run of steps that divides the depth and in which no scale's address changes. */
function groupOf(addresses: readonly Expression[], axis: string, depth: number): number {
  const others = new Map<string, number>();
  const at = (e: Expression, step: number): number =>
    evaluate(e, (name) => (name === axis ? step : (others.get(name) ?? 0)));
  const moving = addresses.filter((e) => variablesOf(e).has(axis));
  let group = depth;
  for (const e of moving) {
    for (let step = 1; step < depth; step++) {
      if (at(e, step) === at(e, step - 1)) continue;
      while (step % group !== 0) group = commonDivisor(group, step);
    }
  }
  return group;
}

/** Groups shorter than this cost more for their scales than the bytes save. */
const shortestGroup = 8;

/** The right operand as levels and scales; undefined where it is something else. */
export function quantizedRight(plan: ContractPlan, target: Target): QuantizedOperand | undefined {
  const [depth] = plan.groups.depth;
  if (plan.groups.depth.length !== 1 || typeof depth?.extent !== 'number') return undefined;
  let product = plan.right.node;
  while (views.has(product.op)) product = product.inputs[0] as Node;
  if (product.op !== 'multiply' || product.dtype !== 'f32') return undefined;
  const found: QuantizedOperand[] = [];
  for (const [a, b] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const [whole, scales] = [product.inputs[a] as Node, product.inputs[b] as Node];
    for (const { levels, zeros } of splitsOf(whole)) {
      const width = widthOf(wholeRange(plan, levels) ?? integerRange(plan.step, levels));
      if (width === undefined) continue;
      const candidate = { product, levels, zeros, scales };
      const addresses = groupAddresses(plan, target, candidate);
      const group = groupOf(addresses, depth.name, depth.extent);
      if (group < shortestGroup) continue;
      // Words hold so many steps.
      const bits = group % shortestGroup === 0 ? width.bits : 8;
      found.push({ ...candidate, ...width, bits, group });
    }
  }
  return found.toSorted((x, y) => x.bits - y.bits)[0];
}

type Candidate = Pick<QuantizedOperand, 'product' | 'levels' | 'zeros' | 'scales'>;

/** What is scaled, whole and as levels less zeros. */
function splitsOf(whole: Node): Pick<QuantizedOperand, 'levels' | 'zeros'>[] {
  let node = whole;
  while (node.op === 'cast') node = node.inputs[0] as Node;
  const isWhole = { levels: whole, zeros: undefined };
  if (node.op !== 'subtract') return [isWhole];
  const [levels, zeros] = node.inputs as [Node, Node];
  return [isWhole, { levels, zeros }];
}

/** Undefined where a byte is too small. */
function widthOf(
  range: Range | undefined,
): Pick<QuantizedOperand, 'bits' | 'isSigned'> | undefined {
  if (range === undefined) return undefined;
  const [low, high] = range;
  for (const bits of [4, 8] as const) {
    if (low >= -(2 ** (bits - 1)) && high < 2 ** (bits - 1)) return { bits, isSigned: true };
    if (low >= 0 && high < 2 ** bits) return { bits, isSigned: false };
  }
  return undefined;
}
