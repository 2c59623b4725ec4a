/** contract and window: products of rows, summed in f64, in 32-bit or in 64-bit integers. */
import { type DType, dtypeFacts, isFloat, isInteger, isWide } from '../base/dtype.js';
import { elementCount } from '../base/host-tensor.js';
import { allocate, allocateData, type Data, rounding, type Value } from './interpret-value.js';
import { permuteValue } from './interpret-views.js';

/** A matrix inside an array: `count` rows, each `length` elements, one after the other. */
export interface Rows {
  readonly data: Data;
  readonly offset: number;
  readonly count: number;
}

/** Where the dot product of left row i and right row j goes: offset + i·rowStep + j. */
export interface Products {
  readonly data: Data;
  readonly offset: number;
  readonly rowStep: number;
}

export type MultiplyRows = (left: Rows, right: Rows, length: number, out: Products) => void;

/** Four right rows at a time: the left element is read once for four independent sums. */
const multiplyNumbers: MultiplyRows = (left, right, length, out) => {
  const [a, b, c] = [left.data, right.data, out.data] as Float64Array[] as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let i = 0; i < left.count; i++) {
    const from = left.offset + i * length;
    const to = out.offset + i * out.rowStep;
    let j = 0;
    for (; j + 4 <= right.count; j += 4) {
      const r0 = right.offset + j * length;
      const r1 = r0 + length;
      const r2 = r1 + length;
      const r3 = r2 + length;
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let k = 0; k < length; k++) {
        const x = a[from + k]!;
        s0 += x * b[r0 + k]!;
        s1 += x * b[r1 + k]!;
        s2 += x * b[r2 + k]!;
        s3 += x * b[r3 + k]!;
      }
      c[to + j] = s0;
      c[to + j + 1] = s1;
      c[to + j + 2] = s2;
      c[to + j + 3] = s3;
    }
    for (; j < right.count; j++) {
      const row = right.offset + j * length;
      let sum = 0;
      for (let k = 0; k < length; k++) sum += a[from + k]! * b[row + k]!;
      c[to + j] = sum;
    }
  }
};

/** Products and sums modulo 2^32, for integers whose sums may leave the 53 bits of f64. */
const multiplyIntegers: MultiplyRows = (left, right, length, out) => {
  const target = out.data as Float64Array;
  for (let i = 0; i < left.count; i++) {
    for (let j = 0; j < right.count; j++) {
      let sum = 0;
      for (let k = 0; k < length; k++) {
        const a = left.data[left.offset + i * length + k] as number;
        const b = right.data[right.offset + j * length + k] as number;
        sum = (sum + Math.imul(a, b)) | 0;
      }
      target[out.offset + i * out.rowStep + j] = sum;
    }
  }
};

const multiplyWides: MultiplyRows = (left, right, length, out) => {
  const target = out.data as { [i: number]: bigint };
  for (let i = 0; i < left.count; i++) {
    for (let j = 0; j < right.count; j++) {
      let sum = 0n;
      for (let k = 0; k < length; k++) {
        const a = BigInt(left.data[left.offset + i * length + k]!);
        sum += a * BigInt(right.data[right.offset + j * length + k]!);
      }
      target[out.offset + i * out.rowStep + j] = BigInt.asIntN(64, sum);
    }
  }
};

/** How rows of these dtypes are multiplied, sums of `length` products wrapping as they must. */
export function multiplierFor(a: DType, b: DType, accumulate: DType, length: number): MultiplyRows {
  if (isWide(accumulate)) return multiplyWides;
  if (isFloat(a) || isFloat(b)) return multiplyNumbers;
  const bits = dtypeFacts[a].bits + dtypeFacts[b].bits + Math.ceil(Math.log2(length + 1));
  return bits <= 53 ? multiplyNumbers : multiplyIntegers;
}

/** Sums into results: wrapped as the accumulation dtype wraps, then rounded once. */
export function finishSums(sums: Data, accumulate: DType, out: Value): Value {
  const wrap = isInteger(accumulate) && !isWide(accumulate) ? rounding(accumulate) : undefined;
  if (isWide(out.dtype)) {
    const to = out.data as BigInt64Array;
    for (let i = 0; i < to.length; i++) to[i] = BigInt(sums[i]!);
    return out;
  }
  const round = rounding(out.dtype);
  const to = out.data as Float64Array;
  for (let i = 0; i < to.length; i++) {
    const sum = Number(sums[i]);
    to[i] = round(wrap === undefined ? sum : wrap(sum));
  }
  return out;
}

interface ContractAttributes {
  readonly batch: readonly (readonly [number, number])[];
  readonly contracted: readonly (readonly [number, number])[];
  readonly accumulate: DType;
  readonly dtype: DType;
}

/** Brings an operand to [batch, free, contracted] order. */
function arrange(x: Value, batch: readonly number[], contracted: readonly number[]) {
  const all = x.shape.map((_, axis) => axis);
  const free = all.filter((axis) => !batch.includes(axis) && !contracted.includes(axis));
  const sizes = (axes: readonly number[]) => axes.map((axis) => x.shape[axis]!);
  const { data } = permuteValue(x, [...batch, ...free, ...contracted]);
  return { data, free: sizes(free), batch: sizes(batch), contracted: sizes(contracted) };
}

/** Batch axes, free axes of the left, free axes of the right: sums of products over the rest. */
export function contractValue(a: Value, b: Value, attributes: ContractAttributes): Value {
  const { batch, contracted, accumulate, dtype } = attributes;
  const side = (k: 0 | 1, pairs: typeof batch) => pairs.map((pair) => pair[k]);
  const left = arrange(a, side(0, batch), side(0, contracted));
  const right = arrange(b, side(1, batch), side(1, contracted));
  const length = elementCount(left.contracted);
  const [m, n] = [elementCount(left.free), elementCount(right.free)];
  const multiply = multiplierFor(a.dtype, b.dtype, accumulate, length);
  const batches = elementCount(left.batch);
  const sums = allocateData(isWide(accumulate) ? 'i64' : 'f64', batches * m * n);
  for (let i = 0; i < batches; i++) {
    multiply(
      { data: left.data, offset: i * m * length, count: m },
      { data: right.data, offset: i * n * length, count: n },
      length,
      { data: sums, offset: i * m * n, rowStep: n },
    );
  }
  const out = allocate(dtype, [...left.batch, ...left.free, ...right.free]);
  return finishSums(sums, accumulate, out);
}
