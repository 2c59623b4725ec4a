/** Conversion of whole tiles between compute types. */
import type { ComputeType } from '../base/target.js';
import { convertScalar, convertVector } from './wasm-arithmetic.js';
import type { Context } from './wasm-context.js';
import type { Code } from './wasm-encode.js';
import { elementwise, type Value } from './wasm-value.js';

/** C semantics (see the tile operation `convert`). */
export function convert(c: Context, value: Value, dtype: ComputeType): Value {
  const from = value.type.dtype;
  if (from === dtype) return value;
  const type = { ...value.type, dtype };
  return elementwise(c.f, type, c.lanes, [value], {
    vector: (a) => convertVector(from, dtype, c.lanes, a as Code),
    scalar: (a) => convertScalar(from, dtype, a as Code),
  });
}
