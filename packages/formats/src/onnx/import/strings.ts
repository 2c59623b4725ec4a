/** Operators on strings, computed at import: strings never reach a device. */
import type { OperatorCall } from './context.js';
import { build, elementCount, type HostTensor } from './core.js';
import type { OperatorTable } from './registry.js';
import type { Result, Value } from './value.js';

const texts = (shape: readonly number[], data: readonly string[]): Value => ({
  kind: 'strings',
  tensor: { dtype: 'string', shape, data },
});

const listOf = (tensor: HostTensor): readonly string[] => tensor.data as readonly string[];

/** NumPy's broadcast of two shapes. */
function commonShape(call: OperatorCall, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    if (x !== y && x !== 1 && y !== 1) throw call.refuse('the shapes do not broadcast');
    return x === 1 ? y : x;
  });
}

/** The element of a broadcast tensor at flat index `index` of the common shape. */
function broadcastAt(tensor: HostTensor, common: readonly number[], index: number): string {
  let rest = index;
  let place = 0;
  let stride = 1;
  for (let axis = common.length - 1; axis >= 0; axis--) {
    const extent = common[axis] as number;
    const own = tensor.shape[axis - common.length + tensor.shape.length] ?? 1;
    if (own !== 1) place += (rest % extent) * stride;
    stride *= own;
    rest = Math.floor(rest / extent);
  }
  return tensor.data[place] as string;
}

function concat(call: OperatorCall): Value {
  const [a, b] = [call.strings(0), call.strings(1)];
  const shape = commonShape(call, a.shape, b.shape);
  const data = Array.from(
    { length: elementCount(shape) },
    (_, i) => broadcastAt(a, shape, i) + broadcastAt(b, shape, i),
  );
  return texts(shape, data);
}

/** At whitespace: runs of it count once and ends are trimmed, as Python's split() does. */
function splitAtSpaces(text: string, limit: number): readonly string[] {
  const parts: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    if (parts.length === limit) return [...parts, rest.trimEnd()];
    const end = rest.search(/\s/);
    if (end < 0) return [...parts, rest];
    parts.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return parts;
}

function splitAt(text: string, delimiter: string, limit: number): readonly string[] {
  const parts = text.split(delimiter);
  if (parts.length <= limit + 1) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(delimiter)];
}

function split(call: OperatorCall): readonly Result[] {
  const x = call.strings(0);
  const delimiter = call.text('delimiter', '');
  const limit = call.hasAttribute('maxsplit') ? call.int('maxsplit') : Number.MAX_SAFE_INTEGER;
  const parts = listOf(x).map((text) =>
    delimiter === '' ? splitAtSpaces(text, limit) : splitAt(text, delimiter, limit),
  );
  const width = Math.max(0, ...parts.map((each) => each.length));
  const padded = parts.flatMap((each) => Array.from({ length: width }, (_, i) => each[i] ?? ''));
  const counts = parts.map((each) => BigInt(each.length));
  return [texts([...x.shape, width], padded), build.constantOf('i64', x.shape, counts)];
}

/**
 * Whether a pattern of RE2's syntax means the same here and cannot take exponential time: no
 * look-around or back-reference, no repetition inside a repeated group.
 */
function isPlainPattern(pattern: string): boolean {
  if (pattern.length > 1000 || /\\[1-9kpPQECzA]|\(\?(?!:)|\[\[:/.test(pattern)) return false;
  return !/[*+}]\)[*+{]|\([^()]*[*+{|][^()]*\)[*+{]/.test(pattern.replace(/\\./g, 'x'));
}

function fullMatch(call: OperatorCall): Result {
  const x = call.strings(0);
  const pattern = call.text('pattern');
  if (!isPlainPattern(pattern)) throw call.refuse('the pattern needs more than plain repetition');
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${pattern})$`, 's');
  } catch {
    throw call.refuse('the pattern is not valid');
  }
  const matches = listOf(x).map((text) => (expression.test(text) ? 1 : 0));
  return build.constantOf('bool', x.shape, matches);
}

function normalize(call: OperatorCall): Value {
  const x = call.strings(0);
  const [rows, width] = [x.shape.slice(0, -1), x.shape.at(-1) ?? 1];
  if (x.shape.length > 2 || elementCount(rows) !== 1) {
    throw call.refuse('the input is neither [C] nor [1, C]');
  }
  const action = call.text('case_change_action', 'NONE');
  const sensitive = call.int('is_case_sensitive', 0) !== 0;
  const key = (text: string): string => (sensitive ? text : text.toLowerCase());
  const stopped = new Set(call.texts('stopwords', []).map(key));
  const change = (text: string): string => {
    if (action === 'LOWER') return text.toLowerCase();
    if (action === 'UPPER') return text.toUpperCase();
    if (action === 'NONE') return text;
    throw call.refuse('unknown change of case');
  };
  const kept = listOf(x)
    .slice(0, width)
    .filter((text) => !stopped.has(key(text)))
    .map(change);
  const data = kept.length === 0 ? [''] : kept;
  return texts([...rows, data.length], data);
}

export const stringOperators: OperatorTable = {
  StringConcat: { versions: [20], import: concat },
  StringSplit: { versions: [20], import: split },
  RegexFullMatch: { versions: [20], import: fullMatch },
  StringNormalizer: { versions: [10], import: normalize },
};
