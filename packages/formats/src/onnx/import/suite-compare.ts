/** The comparison of ONNX's own backend test runner: shape and dtype exactly, numbers closely. */
import type { OnnxValue } from '../read-data.js';
import { type HostTensor, isFloat, readElement, valuesOf } from './core.js';

export interface Comparison {
  /** Empty where the values agree. */
  readonly difference: string;
  /** Largest |actual − expected| over finite numbers. */
  readonly maxError: number;
}

const relative = 1e-3;
const absolute = 1e-7;

const agree: Comparison = { difference: '', maxError: 0 };
const differ = (difference: string, maxError = 0): Comparison => ({ difference, maxError });

/** Compares a computed value with the stored one (assert_allclose, rtol 1e-3, atol 1e-7). */
export function compareValues(actual: OnnxValue, expected: OnnxValue, random = false): Comparison {
  // An optional that is there counts as the value in it: files store either.
  if (expected.kind === 'optional' && expected.value !== null && actual.kind !== 'optional') {
    return compareValues(actual, expected.value, random);
  }
  if (actual.kind !== expected.kind) return differ(`a ${actual.kind}, not a ${expected.kind}`);
  if (actual.kind === 'tensor' && expected.kind === 'tensor') {
    return random
      ? compareRandom(actual.tensor, expected.tensor)
      : compareTensors(actual.tensor, expected.tensor);
  }
  if (actual.kind === 'sequence' && expected.kind === 'sequence') {
    const [got, want] = [actual.elements, expected.elements];
    if (got.length !== want.length) return differ(`${got.length} elements, not ${want.length}`);
    return worst(got.map((each, i) => compareValues(each, want[i] as OnnxValue, random)));
  }
  if (actual.kind === 'optional' && expected.kind === 'optional') {
    if (actual.value !== null && expected.value !== null) {
      return compareValues(actual.value, expected.value, random);
    }
    return actual.value === expected.value ? agree : differ('one optional is empty');
  }
  return differ(`values of kind ${actual.kind} are not compared`);
}

/** The first difference and the largest error. */
export function worst(parts: readonly Comparison[]): Comparison {
  const difference = parts.find((part) => part.difference !== '')?.difference ?? '';
  return { difference, maxError: Math.max(0, ...parts.map((part) => part.maxError)) };
}

function compareTypes(actual: HostTensor, expected: HostTensor): Comparison {
  if (actual.dtype !== expected.dtype) return differ(`${actual.dtype}, not ${expected.dtype}`);
  const [got, want] = [actual.shape.join(), expected.shape.join()];
  return got === want ? agree : differ(`shape [${got}], not [${want}]`);
}

function compareTensors(actual: HostTensor, expected: HostTensor): Comparison {
  const types = compareTypes(actual, expected);
  if (types.difference !== '') return types;
  let maxError = 0;
  let wrong = 0;
  let first = '';
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [readElement(actual, i), readElement(expected, i)];
    if (a === b) continue;
    const [x, y] = [Number(a), Number(b)];
    const error = Math.abs(x - y);
    if (typeof a !== 'string' && error > maxError) maxError = error;
    const close = typeof a !== 'string' && error <= absolute + relative * Math.abs(y);
    if (close || (Number.isNaN(x) && Number.isNaN(y) && typeof a !== 'string')) continue;
    if (wrong++ === 0) first = `element ${i} is ${a}, not ${b}`;
  }
  if (wrong === 0) return { difference: '', maxError };
  return differ(`${wrong} of ${expected.data.length}: ${first}`, maxError);
}

/** Random values: type, range, and for larger tensors the mean (six standard errors). */
function compareRandom(actual: HostTensor, expected: HostTensor): Comparison {
  const types = compareTypes(actual, expected);
  if (types.difference !== '' || !isFloat(expected.dtype)) return types;
  const got = valuesOf(actual).map(Number);
  const want = valuesOf(expected).map(Number);
  if (got.some((x) => !Number.isFinite(x))) return differ('a random value is not finite');
  const bits = want.every((x) => x === 0 || x === 1);
  if (bits && got.some((x) => x !== 0 && x !== 1)) return differ('a value is neither 0 nor 1');
  const [low, high] = [Math.min(...want), Math.max(...want)];
  const slack = high - low + 1e-6;
  if (got.some((x) => x < low - slack || x > high + slack)) {
    return differ('a random value is outside the range');
  }
  const count = want.length;
  if (count < 32) return agree;
  const mean = (list: readonly number[]): number => list.reduce((all, x) => all + x, 0) / count;
  const [m, n] = [mean(got), mean(want)];
  const deviation = Math.sqrt(mean(want.map((x) => (x - n) ** 2)));
  const bound = (6 * Math.SQRT2 * deviation) / Math.sqrt(count);
  return Math.abs(m - n) <= bound ? agree : differ(`the mean is ${m}, not about ${n}`);
}
