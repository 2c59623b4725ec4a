/** Tensors written as JSON: {dtype, shape, data}, or nested arrays alone. */
import {
  type DType,
  dtypes,
  elementCount,
  failure,
  type HostTensor,
  type HostValue,
  hostTensor,
  integerRange,
  isFloat,
  isInteger,
} from './base/core.js';
import { shortName } from './base/text.js';

const deepest = 64;

/**
 * Reads one tensor. `dtype` is what the receiver wants: it is used where the text names none, and
 * must agree where it does. Without either, text is string, true and false are bool, numbers f32.
 * 64-bit integers may be strings; so may NaN, Infinity and -Infinity. Errors: OC-JSON-01.
 */
export function readJsonTensor(text: string, dtype?: DType, fileName = 'tensor.json'): HostTensor {
  const fail = failer(fileName);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw fail('it is not valid JSON');
  }
  return jsonTensor(parsed, dtype, fileName);
}

/** As `readJsonTensor`, from a parsed value. */
export function jsonTensor(value: unknown, dtype?: DType, fileName = 'tensor.json'): HostTensor {
  const fail = failer(fileName);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const [values, shape] = flatten(value, fail);
    return build(values, shape, dtype ?? guessDtype(values), fail);
  }
  const fields = new Map(Object.entries(value));
  for (const key of fields.keys()) {
    if (!['dtype', 'shape', 'data'].includes(key)) throw fail(`unknown key "${shortName(key)}"`);
  }
  const stated = fields.get('dtype');
  const named = dtypes.find((each) => each === stated);
  if (stated !== undefined && named === undefined) {
    throw fail(`unknown dtype "${shortName(String(stated))}"`);
  }
  if (named !== undefined && dtype !== undefined && named !== dtype) {
    throw fail(`dtype ${named} where ${dtype} is wanted`);
  }
  const [values, nested] = flatten(fields.get('data'), fail);
  const shape = fields.get('shape') ?? nested;
  if (!isShape(shape)) throw fail('shape is not a list of sizes');
  const isFlat = nested.length === 1;
  if (!isFlat && String(nested) !== String(shape)) {
    throw fail(`data of shape [${nested}], shape says [${shape}]`);
  }
  return build(values, shape, named ?? dtype ?? guessDtype(values), fail);
}

type Fail = (reason: string) => Error;

function failer(fileName: string): Fail {
  return (reason) => failure('OC-JSON-01', { reason }, { where: shortName(fileName) });
}

function isShape(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length <= deepest &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0)
  );
}

/** Values in row-major order and the shape of the nesting. */
function flatten(value: unknown, fail: Fail): readonly [readonly unknown[], readonly number[]] {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at); at = at[0]) {
    if (shape.length === deepest) throw fail(`nested deeper than ${deepest}`);
    shape.push(at.length);
  }
  let level: readonly unknown[] = [value];
  for (const size of shape) {
    const next: unknown[] = [];
    for (const each of level) {
      if (!Array.isArray(each) || each.length !== size) throw fail('rows of unequal length');
      for (const inner of each) next.push(inner);
    }
    level = next;
  }
  return [level, shape];
}

function guessDtype(values: readonly unknown[]): DType {
  const kind = typeof values[0];
  return kind === 'string' ? 'string' : kind === 'boolean' ? 'bool' : 'f32';
}

function build(
  values: readonly unknown[],
  shape: readonly number[],
  dtype: DType,
  fail: Fail,
): HostTensor {
  const need = elementCount(shape);
  if (values.length !== need) throw fail(`${values.length} values, the shape needs ${need}`);
  return hostTensor(
    dtype,
    shape,
    values.map((value) => readValue(value, dtype, fail)),
  );
}

const namedFloats = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

function readValue(value: unknown, dtype: DType, fail: Fail): HostValue {
  const wrong = (): Error => fail(`${shortName(String(JSON.stringify(value)))} is not a ${dtype}`);
  if (dtype === 'string') {
    if (typeof value === 'string') return value;
    throw wrong();
  }
  if (dtype === 'bool') {
    if (value === true || value === 1) return 1;
    if (value === false || value === 0) return 0;
    throw wrong();
  }
  if (isFloat(dtype)) {
    const number = typeof value === 'string' ? namedFloats.get(value) : value;
    if (typeof number === 'number') return number;
    throw wrong();
  }
  if (!isInteger(dtype)) throw wrong();
  const isText = typeof value === 'string' && /^-?\d{1,20}$/.test(value);
  // A number above 2^53 has already lost digits while it was parsed.
  if (!isText && !Number.isSafeInteger(value)) throw wrong();
  const exact = BigInt(value as string | number);
  const [low, high] = integerRange(dtype);
  if (exact < low || exact > high) throw wrong();
  return exact;
}
