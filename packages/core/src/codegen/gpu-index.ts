/** Index arithmetic and type checks that the printers of C for GPUs share. */
import { refused } from '../base/errors.js';
import type { ComputeType, Target } from '../base/target.js';
import { cLikeTokens, type ExpressionTokens } from './expression-text.js';
import { literalText, type ScalarContext } from './gpu-scalar.js';

/** Throws refused where the target cannot compute in the type. */
export function checkType(target: Target, dtype: ComputeType): void {
  if (target.compute.includes(dtype)) return;
  throw refused(`type ${dtype}`, `${target.id} cannot compute in it`);
}

/** Index arithmetic of C; rounding down needs a helper where the left side may be negative. */
export function indexTokens(c: ScalarContext, indexType: 'i32' | 'i64'): ExpressionTokens {
  const type = c.dialect.types[indexType];
  const helper = (name: string, body: string): string => {
    const full = `${name}_${indexType}`;
    c.helpers.set(full, `${c.dialect.helper} ${type} ${full}(${type} a, ${type} b) { ${body} }`);
    return full;
  };
  return {
    ...cLikeTokens,
    literal: (value) => literalText(c, indexType, BigInt(value)),
    floorDivide: (a, b) =>
      `${helper('floor_divide', 'return a / b - (a % b < 0 ? 1 : 0);')}(${a}, ${b})`,
    floorModulo: (a, b) =>
      `${helper('floor_modulo', `${type} r = a % b; return r < 0 ? r + b : r;`)}(${a}, ${b})`,
    minimum: (a, b) => `${helper('lesser', 'return a < b ? a : b;')}(${a}, ${b})`,
    maximum: (a, b) => `${helper('greater', 'return a > b ? a : b;')}(${a}, ${b})`,
  };
}
