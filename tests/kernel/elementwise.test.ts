import { describe, expect, it } from 'vitest';
import { type DType, dtypeFacts, dtypes, isFloat } from '../../packages/core/src/base/dtype.js';
import { allocateArray, type HostTensor } from '../../packages/core/src/base/host-tensor.js';
import { epsilonOf } from '../../packages/core/src/graph/bounds.js';
import { binary, cast, input, unary } from '../../packages/core/src/graph/build.js';
import { interpretNode } from '../../packages/core/src/graph/interpret.js';
import { decode, numbersOf } from '../../packages/core/src/graph/interpret-value.js';
import type { BinaryName, Node, UnaryName } from '../../packages/core/src/graph/node.js';
import { boundOf } from '../../packages/core/src/graph/ops.js';
import { elementwiseRules } from '../../packages/core/src/graph/ops-elementwise.js';
import {
  fromMemory,
  lowerBinary,
  lowerCast,
  lowerUnary,
  memoryType,
  toMemory,
} from '../../packages/core/src/kernel/elementwise.js';
import { column, runTile, scriptTarget } from './run-tile.js';

type Data = Parameters<typeof column>[0];

const unaries: UnaryName[] = [];
const binaries: BinaryName[] = [];
for (const [name, { arity }] of Object.entries(elementwiseRules)) {
  if (arity === 1) unaries.push(name as UnaryName);
  else binaries.push(name as BinaryName);
}

const numeric = dtypes.filter((dtype) => dtype !== 'string');

/** Small integers and floats: every code. Others: special values, then random bits. */
function samples(dtype: DType, count: number): Data {
  const { bits } = dtypeFacts[dtype];
  if (dtype === 'bool') return Uint8Array.of(0, 1, 1, 0);
  if (bits <= 8 || (bits === 16 && count > 2 ** 15)) {
    const all = allocateArray(dtype, 2 ** bits) as Data;
    for (let i = 0; i < 2 ** bits; i++) {
      const signed = dtypeFacts[dtype].kind === 'signed' && i >= 2 ** (bits - 1);
      (all as Uint8Array)[i] = signed ? i - 2 ** bits : i;
    }
    return all;
  }
  const result = allocateArray(dtype, count) as Data;
  const words = new Uint32Array(result.buffer);
  let state = bits * 31 + dtype.length;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  const tensor = specialValues(dtype);
  tensor.forEach((value, i) => {
    if (i < count) (result as { [i: number]: number | bigint })[i] = value;
  });
  return result;
}

function specialValues(dtype: DType): readonly (number | bigint)[] {
  const { bits, kind } = dtypeFacts[dtype];
  if (dtype === 'f16' || dtype === 'bf16') {
    const one = dtype === 'f16' ? 0x3c00 : 0x3f80;
    const top = dtype === 'f16' ? 0x7c00 : 0x7f80;
    return [0, 0x8000, one, one + 0x8000, top, top + 0x8000, top + 1, top - 1, 1, 2, one + 0x100];
  }
  if (kind === 'float') {
    const ends =
      dtype === 'f32' ? [3.4028234663852886e38, 2 ** -149] : [1.7976931348623157e308, 5e-324];
    const plain = [
      0,
      1,
      2,
      0.5,
      1.5,
      2.5,
      3,
      0.1,
      10.25,
      127,
      65504,
      1e10,
      Number.POSITIVE_INFINITY,
    ];
    return [...plain, ...ends].flatMap((x) => [x, -x]).concat(Number.NaN);
  }
  const small = [0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100];
  if (bits === 64) {
    const ends = kind === 'signed' ? [-(2n ** 63n), 2n ** 63n - 1n] : [2n ** 64n - 1n, 2n ** 63n];
    const negative = kind === 'signed' ? small.map((x) => -BigInt(x)) : [];
    return [...small.map(BigInt), ...negative, ...ends, 2n ** 53n + 1n];
  }
  const top = kind === 'signed' ? 2 ** (bits - 1) : 2 ** bits;
  const negative = kind === 'signed' ? small.map((x) => -x) : [];
  return [...small, ...negative, top - 1, kind === 'signed' ? -top : top / 2];
}

const tensorOf = (dtype: DType, data: Data): HostTensor => ({ dtype, shape: [data.length], data });

/** Every pair of two sample sets. */
function pairs(dtype: DType, withoutZero: boolean): readonly [Data, Data] {
  const base = samples(dtype, 64);
  const right = withoutZero ? (base as Int8Array).filter((x) => Number(x) !== 0) : base;
  const total = base.length * right.length;
  const a = allocateArray(dtype, Math.ceil(total / 4) * 4) as Int8Array;
  const b = allocateArray(dtype, a.length) as Int8Array;
  for (let i = 0; i < a.length; i++) {
    a[i] = base[Math.floor(i / right.length) % base.length] as number;
    b[i] = right[i % right.length] as number;
  }
  return [a as Data, b as Data];
}

function show(
  node: Node,
  operands: readonly Data[],
  i: number,
  got: unknown,
  want: unknown,
): string {
  const text = operands.map((data) => String(data[i])).join(', ');
  return `${node.op}(${text}) of ${node.inputs[0]?.dtype} → ${node.dtype}: ${got}, not ${want}`;
}

/** The first few elements that differ by more than the table of operations allows. */
function differences(node: Node, operands: readonly Data[], got: Data): string[] {
  const inputs = operands.map((data, i) => tensorOf((node.inputs[i] as Node).dtype, data));
  const [expected] = interpretNode(node, inputs) as [HostTensor];
  const bound = boundOf(node, () => undefined);
  const wanted = decode(expected);
  const found = decode(tensorOf(node.dtype, got));
  const result: string[] = [];
  const epsilon = epsilonOf(node.dtype);
  for (let i = 0; i < got.length && result.length < 4; i++) {
    const [x, y] = [found.data[i], wanted.data[i]] as [number | bigint, number | bigint];
    if (Object.is(x, y)) continue;
    if (typeof x === 'number' && typeof y === 'number' && isFloat(node.dtype)) {
      const allowed = bound.absolute + epsilon * (bound.result + 0.5) * Math.abs(y);
      if (Math.abs(x - y) <= allowed) continue;
      // Overflow on one side of the last place only.
      const largest = Math.max(...[...numbersOf(wanted)].filter(Number.isFinite).map(Math.abs));
      if (bound.result > 0 && Math.abs(x) >= largest * 0.9 && Math.abs(y) >= largest * 0.9)
        continue;
    }
    result.push(show(node, operands, i, x, y));
  }
  return result;
}

describe.each(numeric)('%s', (dtype) => {
  const [size] = [2 ** 16];
  for (const name of unaries) {
    const node = attempt(() => unary(name, input('x', { dtype, shape: [size] })));
    if (node === undefined) continue;
    it(name, () => {
      const x = samples(dtype, 2 ** 16);
      const sized = unary(name, input('x', { dtype, shape: [x.length] }));
      const y = runTile([column(x)], memoryType(node.dtype), (b, [v]) => {
        const value = lowerUnary(b, scriptTarget, name, dtype, fromMemory(b, dtype, v as never));
        return toMemory(b, node.dtype, value);
      });
      expect(differences(sized, [x], y)).toEqual([]);
    });
  }
  for (const name of binaries) {
    const node = attempt(() => {
      const operand = input('x', { dtype, shape: [4] });
      return binary(name, operand, operand);
    });
    if (node === undefined) continue;
    const divides = (name === 'divide' || name === 'remainder') && !isFloat(dtype);
    it(name, () => {
      const [x, y] = pairs(dtype, divides);
      const [left, right] = ['x', 'y'].map((n) => input(n, { dtype, shape: [x.length] }));
      const sized = binary(name, left as Node, right as Node);
      const z = runTile([column(x), column(y)], memoryType(node.dtype), (b, [v, w]) => {
        const [p, q] = [v, w].map((raw) => fromMemory(b, dtype, raw as never));
        const value = lowerBinary(b, scriptTarget, name, dtype, p as never, q as never, () => {});
        return toMemory(b, node.dtype, value);
      });
      expect(differences(sized, [x, y], z)).toEqual([]);
    });
  }
  it.each([false, true])('cast to every dtype (saturate: %s)', (saturate) => {
    const x = samples(dtype, 4096);
    const wrong = numeric.flatMap((to) => {
      const node = attempt(() => cast(input('x', { dtype, shape: [x.length] }), to, { saturate }));
      if (node === undefined || node.op !== 'cast') return [];
      const y = runTile([column(x)], memoryType(to), (b, [v]) => {
        const value = fromMemory(b, dtype, v as never);
        return toMemory(b, to, lowerCast(b, scriptTarget, dtype, to, saturate, value));
      });
      return differences(node, [x], y);
    });
    expect(wrong).toEqual([]);
  });
});

function attempt(build: () => Node): Node | undefined {
  try {
    return build();
  } catch {
    return undefined;
  }
}
