/**
 * The table of primitives: class, arity, inference, error bound and differentiability of each.
 * `satisfies` makes the compiler list what a new primitive still needs.
 */
import type { DType } from '../base/dtype.js';
import { evaluate, product, type Size } from '../base/expression.js';
import { type ErrorBound, exactBound, summed } from './bounds.js';
import type { Attributes, BinaryName, Node, OpName, UnaryName } from './node.js';
import { elementwiseRules, typedRules } from './ops-elementwise.js';
import { indexedRules } from './ops-indexed.js';
import { reductionBound, reductionRules } from './ops-reductions.js';
import { regionRules } from './ops-regions.js';
import { viewRules } from './ops-views.js';
import type { OpClass, OpRule } from './rule.js';

export const opRules = {
  ...viewRules,
  ...elementwiseRules,
  ...typedRules,
  ...reductionRules,
  ...indexedRules,
  ...regionRules,
} satisfies { readonly [O in OpName]: OpRule<O> };

export const opNames = Object.keys(opRules) as readonly OpName[];

export function ruleOf<O extends OpName>(op: O): OpRule<O> {
  return opRules[op] as unknown as OpRule<O>;
}

export const classOf = (op: OpName): OpClass => opRules[op].class;

const named = (arity: number): ReadonlySet<string> =>
  new Set(Object.entries(elementwiseRules).flatMap(([op, r]) => (r.arity === arity ? [op] : [])));
const unaries = named(1);
const binaries = named(2);

export const isUnaryName = (op: OpName): op is UnaryName => unaries.has(op);
export const isBinaryName = (op: OpName): op is BinaryName => binaries.has(op);
export const isElementwise = (op: OpName): boolean => classOf(op) === 'elementwise';

/** The dtype in which sums of `dtype` are kept unless said otherwise. */
export function accumulateType(dtype: DType): DType {
  switch (dtype) {
    case 'f16':
    case 'bf16':
    case 'f8e4m3fn':
    case 'f8e4m3fnuz':
    case 'f8e5m2':
    case 'f8e5m2fnuz':
    case 'f8e8m0':
    case 'f4e2m1':
      return 'f32';
    default:
      return dtype;
  }
}

/** Number of elements that meet in one element of the first result; 1 for elementwise. */
export function reductionLength(node: Node): Size {
  const shapeOf = (i: number): readonly Size[] => node.inputs[i]?.shape ?? [];
  switch (node.op) {
    case 'reduce':
      return product(node.attributes.axes.map((axis) => shapeOf(0)[axis] as Size));
    case 'contract':
      return product(node.attributes.contracted.map(([axis]) => shapeOf(0)[axis] as Size));
    case 'window': {
      const { kind, kernel } = node.attributes;
      return kind === 'convolve' ? product(shapeOf(1).slice(1)) : product(kernel);
    }
    case 'cumulate':
      return shapeOf(0)[node.attributes.axis] as Size;
    case 'scatter':
      return shapeOf(1)[0] as Size;
    default:
      return 1;
  }
}

/**
 * The error bound of one node against exact arithmetic on the same inputs. Regions and composites
 * have none of their own: their bodies' nodes do.
 */
export function boundOf(node: Node, sizeOf: (name: string) => number | undefined): ErrorBound {
  const length = evaluate(reductionLength(node), sizeOf);
  switch (node.op) {
    case 'reduce':
    case 'window':
      return reductionBound(node.attributes.kind, node.dtype, length, node.attributes.accumulate);
    case 'contract':
      return summed(node.dtype, length, node.attributes.accumulate);
    case 'cumulate':
      return reductionBound(node.attributes.kind, node.dtype, length, accumulateType(node.dtype));
    case 'scatter': {
      const { kind } = node.attributes;
      return kind === 'replace' ? exactBound : reductionBound(kind, node.dtype, length, node.dtype);
    }
    default:
      return ruleOf(node.op).bound(node.dtype, length);
  }
}

export type AttributesOf<O extends OpName> = Attributes[O];
