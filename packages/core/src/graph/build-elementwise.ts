/** Builders of elementwise operations, with NumPy broadcasting and plain numbers as operands. */
import { type DType, isFloat } from '../base/dtype.js';
import type { HostValue } from '../base/host-tensor.js';
import { scalar } from './build-sources.js';
import { broadcastShapes, broadcastTo } from './build-views.js';
import { make } from './make.js';
import type { BinaryName, Node, UnaryName } from './node.js';

/** A node, or a plain value that takes the dtype of the other operand. */
export type Operand = Node | HostValue | boolean;

const isNode = (value: Operand): value is Node => typeof value === 'object';

/** Gives plain values the dtype of the first node among the operands. */
function nodesOf(operands: readonly Operand[]): readonly Node[] {
  const dtype = operands.find(isNode)?.dtype ?? 'f32';
  return operands.map((value) => (isNode(value) ? value : scalar(dtype, value)));
}

/** All operands at their common shape. */
export function broadcast(operands: readonly Node[]): readonly Node[] {
  const shape = broadcastShapes(...operands.map((operand) => operand.shape));
  return operands.map((operand) => broadcastTo(operand, shape));
}

export function unary(name: UnaryName, x: Node): Node {
  return make(name, [x], {});
}

/** Operands have one dtype (OC-DTYPE-02 otherwise). */
export function binary(name: BinaryName, a: Operand, b: Operand): Node {
  return make(name, broadcast(nodesOf([a, b])), {});
}

type UnaryBuilder = (x: Node) => Node;
type BinaryBuilder = (a: Operand, b: Operand) => Node;
const unaryBuilder =
  (name: UnaryName): UnaryBuilder =>
  (x) =>
    unary(name, x);
const binaryBuilder =
  (name: BinaryName): BinaryBuilder =>
  (a, b) =>
    binary(name, a, b);

export const negate = unaryBuilder('negate');
export const absolute = unaryBuilder('absolute');
export const sign = unaryBuilder('sign');
export const floor = unaryBuilder('floor');
export const ceil = unaryBuilder('ceil');
/** To the nearest integer, ties to even. */
export const round = unaryBuilder('round');
export const truncate = unaryBuilder('truncate');
export const squareRoot = unaryBuilder('squareRoot');
export const exp = unaryBuilder('exp');
export const log = unaryBuilder('log');
export const sin = unaryBuilder('sin');
export const cos = unaryBuilder('cos');
export const tan = unaryBuilder('tan');
export const asin = unaryBuilder('asin');
export const acos = unaryBuilder('acos');
export const atan = unaryBuilder('atan');
export const sinh = unaryBuilder('sinh');
export const cosh = unaryBuilder('cosh');
export const tanh = unaryBuilder('tanh');
export const asinh = unaryBuilder('asinh');
export const acosh = unaryBuilder('acosh');
export const atanh = unaryBuilder('atanh');
export const erf = unaryBuilder('erf');
/** Bits of an integer, truth of a bool. */
export const not = unaryBuilder('not');
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name of the primitive
export const isNaN = unaryBuilder('isNaN');

export const add = binaryBuilder('add');
export const subtract = binaryBuilder('subtract');
export const multiply = binaryBuilder('multiply');
/** Integers truncate toward zero. */
export const divide = binaryBuilder('divide');
/** The sign of the dividend, as C's fmod and %. */
export const remainder = binaryBuilder('remainder');
export const power = binaryBuilder('power');
/** NaN if either is NaN. */
export const minimum = binaryBuilder('minimum');
export const maximum = binaryBuilder('maximum');
export const and = binaryBuilder('and');
export const or = binaryBuilder('or');
export const xor = binaryBuilder('xor');
export const shiftLeft = binaryBuilder('shiftLeft');
export const shiftRight = binaryBuilder('shiftRight');
export const equal = binaryBuilder('equal');
export const less = binaryBuilder('less');
export const lessEqual = binaryBuilder('lessEqual');

export const notEqual: BinaryBuilder = (a, b) => not(equal(a, b));
export const greater: BinaryBuilder = (a, b) => binary('less', ...swapped(a, b));
export const greaterEqual: BinaryBuilder = (a, b) => binary('lessEqual', ...swapped(a, b));

/** Operands exchanged, plain values already typed. */
function swapped(a: Operand, b: Operand): [Node, Node] {
  const [left, right] = nodesOf([a, b]) as [Node, Node];
  return [right, left];
}

export const reciprocal = (x: Node): Node => divide(scalar(x.dtype, 1), x);
export const square = (x: Node): Node => multiply(x, x);
/** |x| = ∞. */
export const isInfinite = (x: Node): Node => equal(absolute(x), Number.POSITIVE_INFINITY);

/** a where the condition holds, else b; all three broadcast. */
export function select(condition: Node, a: Operand, b: Operand): Node {
  const [left, right] = nodesOf([a, b]) as [Node, Node];
  return make('select', broadcast([condition, left, right]), {});
}

/**
 * Another dtype. Float → integer truncates; out of range wraps, or clamps when `saturate`; to the
 * eight-bit floats `saturate` clamps to the largest finite value.
 */
export function cast(x: Node, dtype: DType, options: { readonly saturate?: boolean } = {}): Node {
  if (x.dtype === dtype) return x;
  return make('cast', [x], { dtype, saturate: options.saturate ?? false });
}

/** The same bits as another dtype of equal width. */
export function bitcast(x: Node, dtype: DType): Node {
  return x.dtype === dtype ? x : make('bitcast', [x], { dtype });
}

/** Between bounds that may be absent; where low > high the result is high; NaN stays NaN. */
export function between(x: Node, low?: Operand, high?: Operand): Node {
  const raised = low === undefined ? x : maximum(x, low);
  return high === undefined ? raised : minimum(raised, high);
}

/** Runs `compute` in f32 where x is a narrower float, and casts the result back. */
export function inSingle(x: Node, compute: (x: Node) => Node): Node {
  const narrow = isFloat(x.dtype) && x.dtype !== 'f64' && x.dtype !== 'f32';
  return narrow ? cast(compute(cast(x, 'f32')), x.dtype) : compute(x);
}
