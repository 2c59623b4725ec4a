/**
 * Programs of attention and how a device is checked on them: masks, causality, groups of heads,
 * narrow types, rows that see nothing, random sizes, attention that is written out.
 */
import { compareBounded } from '@open-claw/conformance';
import { compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { expect } from 'vitest';
import { randomTensor } from './programs.js';

type Options = Omit<core.AttentionOptions, 'mask' | 'bias' | 'causalOffset'>;

interface Case {
  readonly name: string;
  readonly q: HostTensor;
  readonly k: HostTensor;
  readonly v: HostTensor;
  readonly mask?: HostTensor;
  readonly bias?: HostTensor;
  /** One for all, or one for each batch. */
  readonly offset?: number | readonly number[];
  readonly options?: Options;
  /** Names of symbols for the lengths of queries and keys. */
  readonly symbolic?: boolean;
}

let seed = 1;
const random = (shape: readonly number[], dtype?: core.DType): HostTensor =>
  randomTensor(seed++, shape, dtype);

interface Sizes {
  readonly batch?: number;
  readonly heads?: number;
  readonly shared?: number;
  readonly queries: number;
  readonly keys?: number;
  readonly depth: number;
  readonly width?: number;
  readonly dtype?: core.DType;
}

function operands(s: Sizes): Pick<Case, 'q' | 'k' | 'v'> {
  const { batch = 1, heads = 2, shared = heads, queries, keys = queries, depth } = s;
  return {
    q: random([batch, heads, queries, depth], s.dtype),
    k: random([batch, shared, keys, depth], s.dtype),
    v: random([batch, shared, keys, s.width ?? depth], s.dtype),
  };
}

/** true with the given chance. */
function chance(shape: readonly number[], share: number): HostTensor {
  const numbers = random(shape).data as Float32Array;
  return core.hostTensor(
    'bool',
    shape,
    [...numbers].map((x) => Number(x < 4 * share - 2)),
  );
}

/** −∞ where `chance` gives false, else a number. */
function forbidding(shape: readonly number[], share: number): HostTensor {
  const seen = chance(shape, share).data as Uint8Array;
  const numbers = random(shape).data as Float32Array;
  return core.hostTensor(
    'f32',
    shape,
    [...numbers].map((x, i) => (seen[i] ? x : -Infinity)),
  );
}

const filled = (shape: readonly number[], value: number): HostTensor =>
  core.hostTensor('f32', shape, Array(core.elementCount(shape)).fill(value));

const cases: readonly Case[] = [
  { name: 'plain', ...operands({ queries: 40, depth: 16 }) },
  { name: 'ragged sizes', ...operands({ batch: 2, queries: 37, keys: 71, depth: 20, width: 9 }) },
  { name: 'one query', ...operands({ queries: 1, keys: 50, depth: 64 }) },
  { name: 'few queries', ...operands({ queries: 3, keys: 67, depth: 32, width: 48 }) },
  { name: 'one key', ...operands({ queries: 5, keys: 1, depth: 8 }) },
  { name: 'causal', ...operands({ queries: 70, depth: 16 }), options: { causal: true } },
  {
    name: 'causal with a past',
    ...operands({ queries: 9, keys: 80, depth: 16 }),
    offset: 71,
    options: { causal: true },
  },
  {
    name: 'causal with queries that see nothing',
    ...operands({ queries: 40, keys: 40, depth: 8 }),
    offset: -5,
    options: { causal: true },
  },
  {
    name: 'causal, more queries than keys',
    ...operands({ queries: 50, keys: 20, depth: 8 }),
    options: { causal: true },
  },
  { name: 'grouped queries', ...operands({ heads: 6, shared: 2, queries: 33, depth: 16 }) },
  {
    name: 'one new token, grouped',
    ...operands({ heads: 8, shared: 2, queries: 1, keys: 45, depth: 16 }),
    offset: 30,
    options: { causal: true },
  },
  {
    name: 'bool mask of all',
    ...operands({ batch: 2, queries: 20, keys: 33, depth: 8 }),
    mask: chance([2, 2, 20, 33], 0.5),
  },
  {
    name: 'bool mask with blind rows',
    ...operands({ queries: 20, keys: 3, depth: 8 }),
    mask: chance([20, 3], 0.2),
  },
  {
    name: 'blind rows give NaN',
    ...operands({ queries: 20, keys: 3, depth: 8 }),
    mask: chance([1, 1, 20, 3], 0.2),
    options: { blind: 'nan' },
  },
  {
    name: 'bias of -inf',
    ...operands({ queries: 40, keys: 70, depth: 8 }),
    bias: forbidding([1, 1, 40, 70], 0.6),
  },
  {
    name: 'padding of keys',
    ...operands({ batch: 2, queries: 40, keys: 70, depth: 8 }),
    bias: forbidding([2, 1, 1, 70], 0.6),
    options: { causal: true },
  },
  {
    name: 'mask and bias',
    ...operands({ queries: 17, keys: 30, depth: 8 }),
    mask: chance([17, 1], 0.8),
    bias: random([2, 1, 30]),
  },
  {
    name: 'the least finite number forbids all keys alike',
    ...operands({ queries: 6, keys: 40, depth: 8 }),
    bias: filled([1, 1, 6, 40], -3.4028234663852886e38),
  },
  {
    name: 'softcap',
    ...operands({ queries: 34, keys: 20, depth: 16 }),
    options: { softcap: 2, causal: true },
  },
  {
    name: 'large scores',
    ...operands({ queries: 40, keys: 90, depth: 16 }),
    options: { scale: 30 },
  },
  {
    name: 'f16',
    ...operands({ queries: 21, keys: 40, depth: 24, width: 40, dtype: 'f16' }),
    options: { causal: true },
  },
  { name: 'bf16', ...operands({ queries: 21, keys: 40, depth: 16, dtype: 'bf16' }) },
  {
    name: 'sizes known at the call',
    ...operands({ queries: 45, keys: 99, depth: 16 }),
    options: { causal: true },
    offset: 54,
    symbolic: true,
  },
  {
    name: 'one query known at the call',
    ...operands({ queries: 1, keys: 99, depth: 64 }),
    symbolic: true,
  },
  {
    name: 'a past of its own for every batch',
    ...operands({ batch: 3, queries: 12, keys: 50, depth: 8 }),
    options: { causal: true },
    offset: [30, 2, 38],
  },
  { name: 'no keys', ...operands({ queries: 4, keys: 0, depth: 8 }) },
  { name: 'no queries', ...operands({ queries: 0, keys: 4, depth: 8 }) },
];

interface Made {
  readonly inputs: readonly core.Node[];
  readonly tensors: readonly HostTensor[];
  readonly outputs: readonly core.Node[];
}

let names = 0;

function offsetOf(offset: number | readonly number[]): HostTensor {
  if (typeof offset === 'number') return core.hostTensor('i64', [], [BigInt(offset)]);
  return core.hostTensor('i64', [offset.length, 1, 1, 1], offset.map(BigInt));
}

function programOf(given: Case): Made {
  const tensors: HostTensor[] = [];
  const inputs: core.Node[] = [];
  const [queries, keys] = [core.sizeSymbol(), core.sizeSymbol()];
  const add = (tensor: HostTensor, axis2?: core.Size): core.Node => {
    const shape: core.Size[] = [...tensor.shape];
    if (given.symbolic === true && axis2 !== undefined) shape[2] = axis2;
    const node = core.input(`x${names++}`, { dtype: tensor.dtype, shape });
    tensors.push(tensor);
    inputs.push(node);
    return node;
  };
  const [q, k, v] = [add(given.q, queries), add(given.k, keys), add(given.v, keys)];
  const options: core.AttentionOptions = {
    ...given.options,
    ...(given.mask === undefined ? {} : { mask: add(given.mask) }),
    ...(given.bias === undefined ? {} : { bias: add(given.bias) }),
    ...(given.offset === undefined ? {} : { causalOffset: add(offsetOf(given.offset)) }),
  };
  return { inputs, tensors, outputs: [core.attention(q, k, v, options)] };
}

/** Heads that lie side by side in one row, and the result in such a row. */
function headsInRows(): Made {
  const x = core.input(`x${names++}`, { dtype: 'f32', shape: [2, 19, 24] });
  const heads = (at: number): core.Node =>
    core.permute(core.reshape(core.sliceAxis(x, 2, at, 8), [2, 19, 2, 4]), [0, 2, 1, 3]);
  const mixed = core.attention(heads(0), heads(8), heads(16), { causal: true });
  const y = core.reshape(core.permute(mixed, [0, 2, 1, 3]), [2, 19, 8]);
  return { inputs: [x], tensors: [random([2, 19, 24])], outputs: [y] };
}

/** Attention as exporters write it: products, a scale, a mask, a softmax. */
function written(rank: 3 | 4, kind: 'add' | 'where' | 'bare'): Made {
  const leading = rank === 4 ? [2, 3] : [5];
  const types = [
    [...leading, 33, 16],
    [...leading, 16, 40],
    [...leading, 40, 24],
  ];
  const tensors = types.map((shape) => random(shape));
  if (kind === 'add') tensors.push(forbidding([1, 40], 0.8));
  if (kind === 'where') tensors.push(chance([33, 40], 0.6));
  const inputs = tensors.map(({ dtype, shape }) => core.input(`x${names++}`, { dtype, shape }));
  const [q, k, v, mask] = inputs as [core.Node, core.Node, core.Node, core.Node];
  const scores = core.divide(core.matmul(q, k), 4);
  const seen = { add: () => core.add(scores, mask), where: () => core.select(mask, scores, -1e9) };
  const chances = core.softmax(kind === 'bare' ? scores : seen[kind](), -1);
  return { inputs, tensors, outputs: [core.matmul(chances, v)] };
}

function randomCase(pick: (n: number) => number): Case {
  const shared = 1 + pick(2);
  const [batch, heads] = [1 + pick(2), shared * (1 + pick(3))];
  const [queries, keys] = [1 + pick(70), 1 + pick(140)];
  const sizes = { batch, heads, shared, queries, keys, depth: 1 + pick(40), width: 1 + pick(40) };
  const shape = [batch, heads, queries, keys].map((size) => (pick(2) === 0 ? 1 : size));
  return {
    name: JSON.stringify(sizes),
    ...operands(sizes),
    ...(pick(3) === 0 ? { mask: chance(shape, 0.7) } : {}),
    ...(pick(3) === 0 ? { bias: forbidding(shape, 0.8) } : {}),
    ...(pick(2) === 0 ? { options: { causal: true }, offset: pick(100) - 20 } : {}),
  };
}

function randomCases(count: number): readonly Case[] {
  let state = 7;
  const pick = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: count }, () => randomCase(pick));
}

const expectations = new Map<Made, core.BoundedTensor>();

/** What the interpreter gives, once for all devices. */
function expectedOf(made: Made): core.BoundedTensor {
  const known = expectations.get(made);
  if (known !== undefined) return known;
  const graph = core.graphOf(made.inputs, made.outputs);
  const [value] = core.interpretWithBounds(graph, made.tensors) as [core.BoundedTensor];
  expectations.set(made, value);
  return value;
}

export type Named = readonly [string, Made];
const named = (given: Case): Named => [given.name, programOf(given)];
export const chosenPrograms: readonly Named[] = [
  ...cases.map(named),
  ['heads in rows', headsInRows()],
  ['written out with an added mask', written(4, 'add')],
  ['written out with a chosen mask', written(3, 'where')],
  ['written out', written(3, 'bare')],
];
export const randomPrograms: readonly Named[] = randomCases(12).map(named);

/** All programs as one, so that they are compiled by one call; gives the number of launches. */
export async function checkAttention(id: string, programs: readonly Named[]): Promise<number> {
  const opened = await openDevice(id);
  const all = programs.map(([, made]) => made);
  const graph = core.graphOf(
    all.flatMap(({ inputs }) => inputs),
    all.flatMap(({ outputs }) => outputs),
  );
  const tensors = all.flatMap((made) => made.tensors);
  const program = compile(graph, opened.target, opened.plugin.language);
  const executable = await load(program, opened);
  const wrong: string[] = [];
  // Twice: the second run finds what the first left in the tasks' memory.
  for (let run = 0; run < 2; run++) {
    const results = await executable.run(tensors);
    programs.forEach(([name, made], i) => {
      const { reason } = compareBounded(results[i], expectedOf(made));
      if (reason !== '') wrong.push(`${name}: ${reason}`);
    });
  }
  await executable.dispose();
  expect(wrong).toEqual([]);
  return program.main.steps.filter((step) => step.kind === 'launch').length;
}
