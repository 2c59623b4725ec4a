/** TfIdfVectorizer: how often each n-gram of a pool stands in a line, gaps between its parts. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size, valuesOf } from './core.js';
import type { OperatorTable } from './registry.js';

interface Pool {
  /** Lines [N, L] of i64 codes. */
  readonly lines: Node;
  readonly codes: readonly number[];
}

/** Texts become their places in the pool; texts outside of it become −1. */
function poolOf(call: OperatorCall): Pool {
  const value = call.value(0);
  if (value.kind !== 'strings') {
    const x = build.cast(call.tensor(0), 'i64');
    const lines = x.shape.length === 1 ? build.unsqueeze(x, [0]) : x;
    return { lines, codes: call.ints('pool_int64s') };
  }
  const pool = call.texts('pool_strings');
  const codes = pool.map((text) => pool.indexOf(text));
  const { tensor } = value;
  const found = valuesOf(tensor).map((text) => BigInt(pool.indexOf(String(text))));
  const shape = tensor.shape.length === 1 ? [1, ...tensor.shape] : tensor.shape;
  return { lines: build.constantOf('i64', shape, found), codes };
}

/** Counts [N, grams] of grams of one length, each code `step` places after the one before. */
function countGrams(lines: Node, grams: readonly (readonly number[])[], step: number): Node {
  const [count, extent] = lines.shape as [Size, Size];
  const length = (grams[0] as readonly number[]).length;
  const places = size.maximum(size.subtract(extent, (length - 1) * step), 0);
  const matches = Array.from({ length }, (_, at) => {
    const wanted = grams.map((gram) => BigInt(gram[at] as number));
    const codes = build.constantOf('i64', [1, 1, wanted.length], wanted);
    const start = size.minimum(at * step, extent);
    const part = build.sliceAxis(lines, 1, start, places);
    return build.equal(build.reshape(part, [count, places, 1]), codes);
  });
  const all = matches.reduce((a, b) => build.and(a, b));
  return build.sum(build.cast(all, 'f32'), [1]);
}

function vectorize(call: OperatorCall): Node {
  const { lines, codes } = poolOf(call);
  const [shortest, longest] = [call.int('min_gram_length'), call.int('max_gram_length')];
  const starts = call.ints('ngram_counts');
  const columns = call.ints('ngram_indexes');
  const width = Math.max(-1, ...columns) + 1;
  const weights = call.floats(
    'weights',
    columns.map(() => 1),
  );
  const parts: Node[] = [];
  const targets: number[] = [];
  let seen = 0;
  for (let length = 1; length <= starts.length; length++) {
    const pool = codes.slice(starts[length - 1], starts[length] ?? codes.length);
    const grams = Array.from({ length: Math.floor(pool.length / length) }, (_, i) =>
      pool.slice(i * length, (i + 1) * length),
    );
    const own = columns.slice(seen, seen + grams.length);
    seen += grams.length;
    if (length < shortest || length > longest || grams.length === 0) continue;
    const steps = length === 1 ? 1 : call.int('max_skip_count') + 1;
    const counts = Array.from({ length: steps }, (_, i) => countGrams(lines, grams, i + 1));
    parts.push(counts.reduce((a, b) => build.add(a, b)));
    targets.push(...own);
  }
  const rows = lines.shape[0] as Size;
  const shape = [...(lineCount(call) === 1 ? [] : [rows]), width];
  if (parts.length === 0) return build.broadcastTo(build.scalar('f32', 0), shape);
  const counts = build.concat(parts, 1);
  // Column c of the result is the gram whose index is c, or the zero behind all of them.
  const order = Array.from({ length: width }, (_, c) => {
    const at = targets.indexOf(c);
    return BigInt(at < 0 ? targets.length : at);
  });
  const padded = build.pad(counts, { before: [0, 0], after: [0, 1] });
  const placed = build.gather(padded, build.constantOf('i64', [width], order), 1);
  const factors = Array.from({ length: width }, (_, c) => weights[columns.indexOf(c)] ?? 1);
  return build.reshape(weighted(call, placed, factors), shape);
}

const lineCount = (call: OperatorCall): number => {
  const value = call.value(0);
  return value.kind === 'strings' ? value.tensor.shape.length : call.tensor(0).shape.length;
};

/** TF counts, IDF says whether, TFIDF counts times the weight. */
function weighted(call: OperatorCall, counts: Node, factors: readonly number[]): Node {
  const mode = call.text('mode');
  if (mode === 'TF') return counts;
  const by = build.constantOf('f32', [1, factors.length], factors);
  if (mode === 'TFIDF') return build.multiply(counts, by);
  if (mode === 'IDF') return build.multiply(build.minimum(counts, 1), by);
  throw call.refuse('unknown mode');
}

export const ngramOperators: OperatorTable = {
  TfIdfVectorizer: { versions: [9], import: vectorize },
};
