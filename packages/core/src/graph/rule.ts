/** What the operation table says about each primitive, and the checks that its rules share. */
import { type DType, dtypeFacts } from '../base/dtype.js';
import { failure, type OpenClawError } from '../base/errors.js';
import {
  equal,
  printExpression,
  provablyAtLeast,
  provablyLess,
  type Size,
} from '../base/expression.js';
import type { ErrorBound } from './bounds.js';
import type { Attributes, OpName, Requirement, TensorType } from './node.js';

export type OpClass =
  | 'source'
  | 'view'
  | 'elementwise'
  | 'reduction'
  | 'contraction'
  | 'window'
  /** Addresses come from data: gather, scatter, update. */
  | 'indexed'
  | 'prefix'
  /** Sort and compact. */
  | 'order'
  | 'part'
  | 'region';

/** What an inference rule sees of an input; every node is one. */
export interface Operand extends TensorType {
  readonly results?: readonly TensorType[];
}

export interface Inferred {
  readonly results: readonly TensorType[];
  /** Relations that could not be proven for all values of the symbols. */
  readonly requirements: readonly Requirement[];
}

export interface OpRule<O extends OpName> {
  readonly class: OpClass;
  /** Number of inputs, or the least and the most. */
  readonly arity: number | readonly [number, number];
  /** Result types; throws OC-SHAPE-… or OC-DTYPE-… . */
  readonly infer: (inputs: readonly Operand[], attributes: Attributes[O]) => Inferred;
  /** By result dtype, reduction length and accumulation dtype. */
  readonly bound: (dtype: DType, length: number, accumulate?: DType) => ErrorBound;
  /** Whether derivatives pass through; false also where they are zero everywhere. */
  readonly differentiable: boolean;
}

/** Collects what inference cannot prove. */
export type Requirements = Requirement[];

export const printShape = (shape: readonly Size[]): string =>
  `[${shape.map(printExpression).join(',')}]`;

export const printType = (type: TensorType): string => `${type.dtype}${printShape(type.shape)}`;

export const typeOf = (dtype: DType, shape: readonly Size[]): TensorType => ({ dtype, shape });

/** One result without requirements. */
export const one = (
  dtype: DType,
  shape: readonly Size[],
  requirements: readonly Requirement[] = [],
): Inferred => ({ results: [{ dtype, shape }], requirements });

export function shapeError(op: string, reason: string): OpenClawError {
  return failure('OC-SHAPE-03', { op, reason });
}

export function dtypeError(op: string, dtype: DType, reason: string): OpenClawError {
  return failure('OC-DTYPE-01', { op, dtype, reason });
}

/** left = right: proven, impossible (throws), or left for run time. */
export function requireEqual(
  into: Requirements,
  left: Size,
  right: Size,
  what: string,
  error: () => OpenClawError,
): void {
  if (equal(left, right)) return;
  if (provablyLess(left, right) || provablyLess(right, left)) throw error();
  into.push({ relation: 'equal', left, right, what });
}

/** left ≥ right: proven, impossible (throws), or left for run time. */
export function requireAtLeast(
  into: Requirements,
  left: Size,
  right: Size,
  what: string,
  error: () => OpenClawError,
): void {
  if (provablyAtLeast(left, right)) return;
  if (provablyLess(left, right)) throw error();
  into.push({ relation: 'atLeast', left, right, what });
}

/** Two shapes of equal rank and sizes. */
export function requireShape(
  into: Requirements,
  op: string,
  left: readonly Size[],
  right: readonly Size[],
  reason = 'they must be equal',
): void {
  const error = (): OpenClawError =>
    failure('OC-SHAPE-01', { op, left: printShape(left), right: printShape(right), reason });
  if (left.length !== right.length) throw error();
  left.forEach((size, axis) => {
    requireEqual(into, size, right[axis] as Size, `${op}, axis ${axis}`, error);
  });
}

export function requireDType(op: string, left: DType, right: DType): void {
  if (left !== right) throw failure('OC-DTYPE-02', { op, left, right });
}

/** An axis in [0, rank). */
export function requireAxis(op: string, axis: number, rank: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= rank) {
    throw shapeError(op, `axis ${axis} is outside 0 … ${rank - 1}`);
  }
}

export function requireAxes(op: string, axes: readonly number[], rank: number): void {
  for (const axis of axes) requireAxis(op, axis, rank);
  if (new Set(axes).size !== axes.length) throw shapeError(op, 'an axis stands twice');
}

/** Non-negative sizes, as far as it is known. */
export function requireSizes(into: Requirements, op: string, shape: readonly Size[]): void {
  shape.forEach((size, axis) => {
    if (typeof size === 'number' && !Number.isSafeInteger(size)) {
      throw shapeError(op, `the size ${size} of axis ${axis} is no whole number`);
    }
    requireAtLeast(into, size, 0, `${op}, axis ${axis}`, () =>
      shapeError(op, `the size ${printExpression(size)} of axis ${axis} is negative`),
    );
  });
}

export type DTypeClass = 'number' | 'float' | 'integer' | 'bits' | 'any' | 'plain';

const allowed: Readonly<Record<DTypeClass, readonly string[]>> = {
  number: ['float', 'signed', 'unsigned'],
  float: ['float'],
  integer: ['signed', 'unsigned'],
  bits: ['signed', 'unsigned', 'bool'],
  plain: ['float', 'signed', 'unsigned', 'bool'],
  any: ['float', 'signed', 'unsigned', 'bool', 'string'],
};

export function requireClass(op: string, dtype: DType, wanted: DTypeClass): void {
  const kinds = allowed[wanted];
  if (!kinds.includes(dtypeFacts[dtype].kind)) {
    throw dtypeError(op, dtype, `${kinds.join(', ')} only`);
  }
}

export function requireBool(op: string, type: TensorType): void {
  if (type.dtype !== 'bool') throw dtypeError(op, type.dtype, 'bool only');
}

/** The only input of an operation with one. */
export const first = (inputs: readonly Operand[]): Operand => inputs[0] as Operand;
export const second = (inputs: readonly Operand[]): Operand => inputs[1] as Operand;
export const third = (inputs: readonly Operand[]): Operand => inputs[2] as Operand;
