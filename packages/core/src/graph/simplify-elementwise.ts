/** Rules of elementwise operations that change no bit of any result. */
import { isFloat, isInteger, isUnsigned } from '../base/dtype.js';
import { cast, multiply, select } from './build-elementwise.js';
import { expand, sameShape } from './build-views.js';
import { make } from './make.js';
import { type Attributes, isOp, type Node, type OpName } from './node.js';
import { isElementwise } from './ops.js';
import { holdsExactly, inputOf, isUniform, type Rule, uniformValue } from './simplify-match.js';

const twice =
  (op: OpName): Rule =>
  (node) => {
    const x = inputOf(node, 0);
    return x.op === op ? inputOf(x, 0) : undefined;
  };

/** The other operand where one of two is the neutral value. */
function neutral(node: Node, isNeutral: (x: Node) => boolean): Node | undefined {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  if (isNeutral(b)) return a;
  return isNeutral(a) ? b : undefined;
}

const addition: Rule = (node) =>
  // x + (+0) turns −0 into +0, so that only −0 is neutral for floats.
  neutral(node, (x) => isUniform(x, isFloat(node.dtype) ? -0 : 0));

const subtraction: Rule = (node) => (isUniform(inputOf(node, 1), 0) ? inputOf(node, 0) : undefined);

const multiplication: Rule = (node) => {
  const kept = neutral(node, (x) => isUniform(x, 1));
  if (kept !== undefined || !isInteger(node.dtype)) return kept;
  return [inputOf(node, 0), inputOf(node, 1)].find((x) => isUniform(x, 0));
};

const division: Rule = (node) => (isUniform(inputOf(node, 1), 1) ? inputOf(node, 0) : undefined);

const exponentiation: Rule = (node) => {
  const [x, exponent] = [inputOf(node, 0), inputOf(node, 1)];
  if (isUniform(exponent, 1)) return x;
  return isUniform(exponent, 2) ? multiply(x, x) : undefined;
};

const same: Rule = (node) => (inputOf(node, 0) === inputOf(node, 1) ? inputOf(node, 0) : undefined);

const selection: Rule = (node) => {
  const [condition, a, b] = node.inputs as [Node, Node, Node];
  if (a === b) return a;
  const known = uniformValue(condition);
  if (known !== undefined) return known ? a : b;
  return isOp(condition, 'not') ? select(inputOf(condition, 0), b, a) : undefined;
};

/** A → B → C is A → C where B holds every value of A. */
const castChain: Rule = (node) => {
  const inner = inputOf(node, 0);
  if (!isOp(node, 'cast') || !isOp(inner, 'cast')) return undefined;
  const x = inputOf(inner, 0);
  if (!holdsExactly(x.dtype, inner.dtype)) return undefined;
  // Clamping means something else from an integer than from the float between.
  if (node.attributes.saturate && isInteger(x.dtype) && isFloat(inner.dtype)) return undefined;
  return cast(x, node.dtype, { saturate: node.attributes.saturate });
};

/** f(expand(a), expand(b)) = expand(f(a, b)): less work, and constants meet. */
export const sinkExpand: Rule = (node) => {
  if (!isElementwise(node.op) || node.inputs.length === 0) return undefined;
  const first = inputOf(node, 0);
  if (!isOp(first, 'expand')) return undefined;
  const inner = inputOf(first, 0).shape;
  if (!node.inputs.every((x) => isOp(x, 'expand') && sameShape(inputOf(x, 0).shape, inner))) {
    return undefined;
  }
  const inputs = node.inputs.map((x) => inputOf(x, 0));
  return expand(make(node.op, inputs, node.attributes as Attributes[OpName]), node.shape);
};

export const elementwiseSimplifications: Readonly<Partial<Record<OpName, Rule>>> = {
  negate: twice('negate'),
  not: twice('not'),
  absolute: (node) => {
    const x = inputOf(node, 0);
    if (x.op === 'absolute') return x;
    // The negative of an unsigned number is another number.
    const turned = x.op === 'negate' && !isUnsigned(x.dtype);
    return turned ? make('absolute', [inputOf(x, 0)], {}) : undefined;
  },
  add: addition,
  subtract: subtraction,
  multiply: multiplication,
  divide: division,
  power: exponentiation,
  minimum: same,
  maximum: same,
  and: same,
  or: same,
  select: selection,
  cast: castChain,
  bitcast: (node) => {
    const x = inputOf(node, 0);
    if (x.op !== 'bitcast' || !isOp(node, 'bitcast')) return undefined;
    const source = inputOf(x, 0);
    return source.dtype === node.dtype ? source : make('bitcast', [source], node.attributes);
  },
};
