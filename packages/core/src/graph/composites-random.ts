/** Random values from counter-based bits: the same key gives the same numbers everywhere. */
import { type DType, isFloat } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import {
  add,
  cast,
  cos,
  divide,
  greaterEqual,
  log,
  multiply,
  type Operand,
  select,
  shiftRight,
  squareRoot,
  subtract,
} from './build-elementwise.js';
import { composite } from './build-regions.js';
import { randomBits, scalar } from './build-sources.js';
import { reshape, sliceAxis } from './build-views.js';
import type { Node } from './node.js';
import { dtypeError } from './rule.js';

/** [0, 1) from 24 of 32 bits: every value is exact in f32. */
const fraction = (bits: Node): Node => multiply(cast(shiftRight(bits, 8), 'f32'), 2 ** -24);

/** [0, 1) of 53 bits from two words along a new first axis. */
function fineFraction(key: Node, shape: readonly Size[]): Node {
  const bits = randomBits(key, [2, ...shape]);
  const word = (index: number): Node => reshape(sliceAxis(bits, 0, index, 1), shape);
  const high = cast(shiftRight(word(0), 5), 'f64');
  const low = cast(shiftRight(word(1), 6), 'f64');
  return multiply(add(multiply(high, 2 ** 26), low), 2 ** -53);
}

function requireFloat(op: string, dtype: DType): void {
  if (!isFloat(dtype)) throw dtypeError(op, dtype, 'floats only');
}

/** Uniform in [low, high); the key is u32[2]. */
export function randomUniform(
  key: Node,
  shape: readonly Size[],
  dtype: DType = 'f32',
  low = 0,
  high = 1,
): Node {
  requireFloat('randomUniform', dtype);
  return composite('randomUniform', { dtype, low, high }, [key], ([k]) => {
    const unit =
      dtype === 'f64' ? fineFraction(k as Node, shape) : fraction(randomBits(k as Node, shape));
    return [cast(add(multiply(unit, high - low), low), dtype)];
  })[0] as Node;
}

/** Normal by the Box–Muller transform; the key is u32[2]. */
export function randomNormal(
  key: Node,
  shape: readonly Size[],
  dtype: DType = 'f32',
  mean = 0,
  deviation = 1,
): Node {
  requireFloat('randomNormal', dtype);
  return composite('randomNormal', { dtype, mean, deviation }, [key], ([k]) => {
    const pair =
      dtype === 'f64'
        ? fineFraction(k as Node, [2, ...shape])
        : fraction(randomBits(k as Node, [2, ...shape]));
    const unit = (index: number): Node => reshape(sliceAxis(pair, 0, index, 1), shape);
    // 1 − u is in (0, 1], where the logarithm is finite.
    const radius = squareRoot(multiply(log(subtract(1, unit(0))), -2));
    const normal = multiply(radius, cos(multiply(unit(1), 2 * Math.PI)));
    return [cast(add(multiply(normal, deviation), mean), dtype)];
  })[0] as Node;
}

/** [x with elements dropped at `ratio` and the rest scaled up, bool mask of those kept]. */
export function dropout(x: Node, key: Node, ratio: Operand): [result: Node, mask: Node] {
  const isNode = typeof ratio === 'object';
  const inputs = isNode ? [x, key, ratio] : [x, key];
  const parameters = isNode ? {} : { ratio: Number(ratio) };
  return composite('dropout', parameters, inputs, ([value, k, given]) => {
    const v = value as Node;
    const wide: DType = v.dtype === 'f64' ? 'f64' : 'f32';
    const rate = given === undefined ? scalar(wide, Number(ratio)) : cast(given, wide);
    const unit = cast(fraction(randomBits(k as Node, v.shape)), wide);
    const kept = greaterEqual(unit, rate);
    const scaled = divide(cast(v, wide), subtract(1, rate));
    return [select(kept, cast(scaled, v.dtype), 0), kept];
  }) as [Node, Node];
}
