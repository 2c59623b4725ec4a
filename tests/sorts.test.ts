/** Sorts and top-k of many lines on every device: bit by bit what the interpreter gives. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';

const found = await useDevices();
afterAll(closeDevices);

type Fill = 'mixed' | 'few' | 'same' | 'rising' | 'falling' | 'odd';

/** What an element of a line is, in steps that every type can hold. */
function elementOf(fill: Fill, i: number, length: number, dtype: core.DType): number {
  const random = (Math.imul(i + 1, 0x9e3779b1) >>> 8) % 8191;
  const place = i % length;
  switch (fill) {
    case 'mixed':
      return random - 4096;
    case 'few':
      return random % 5;
    case 'same':
      return 3;
    case 'rising':
      return place;
    case 'falling':
      return -place;
    case 'odd': {
      if (!core.isFloat(dtype)) return random % 2 === 0 ? random : -(2 ** 31);
      if (random % 5 === 0) return Number.NaN;
      const infinite = random % 3 === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      return random % 7 < 4 ? infinite : random % 2 === 0 ? 0 : -0;
    }
  }
}

function tensorOf(dtype: core.DType, shape: readonly number[], fill: Fill): HostTensor {
  const length = shape.at(-1) as number;
  const { bits } = core.dtypeFacts[dtype];
  const whole = !core.isFloat(dtype);
  const wrap = (value: number): bigint =>
    dtype.startsWith('u')
      ? BigInt.asUintN(bits, BigInt(value))
      : BigInt.asIntN(bits, BigInt(value));
  const values = Array.from({ length: core.elementCount(shape) }, (_, i) => {
    const value = elementOf(fill, i, length, dtype);
    if (dtype === 'bool') return value % 2 !== 0;
    if (!whole) return value;
    const wrapped = wrap(value);
    // Words of 64 bits that differ above and below the middle.
    if (bits === 64) return wrap(Number(wrapped % 7n)) * 2n ** 40n + (wrapped < 0n ? 0n : wrapped);
    return Number(wrapped);
  });
  return core.hostTensor(dtype, [...shape], values);
}

const bytesOf = ({ data }: HostTensor): Uint8Array => {
  const view = data as Float32Array;
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
};

interface Question {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly dtype: core.DType;
  /** Of top-k; absent: a sort. */
  readonly k?: number;
}

function outputsOf({ axis, k }: Question, x: core.Node): readonly core.Node[] {
  return [true, false].flatMap((descending) => {
    if (k !== undefined) return core.topK(x, k, { axis, largest: descending });
    const places = core.iota({ dtype: 'i64', shape: x.shape }, axis);
    return core.sort(x, [places], { axis, descending });
  });
}

const fills: readonly Fill[] = ['mixed', 'few', 'same', 'rising', 'falling', 'odd'];
const textOf = ({ dtype, shape, axis, k }: Question): string =>
  `${dtype} [${shape}] axis ${axis}${k === undefined ? '' : ` k ${k}`}`;

const line = (dtype: core.DType, length: number, k?: number): Question => {
  const question = { shape: [2, length], axis: 1, dtype };
  return k === undefined ? question : { ...question, k };
};

const questions: readonly Question[] = [
  ...[1, 8, 33, 75, 131].map((length) => line('f32', length)),
  line('f32', 9, 3),
  line('f32', 100, 7),
  line('f32', 517, 1),
  line('f32', 700, 90),
  ...(['f64', 'i64', 'u32'] as const).flatMap((dtype) => [line(dtype, 75), line(dtype, 160, 19)]),
  ...(['f16', 'bf16', 'u64', 'i32', 'u8', 'i16'] as const).map((dtype) => line(dtype, 150, 7)),
  line('i8', 75),
  { shape: [2, 41, 3], axis: 1, dtype: 'f32' },
  { shape: [170, 19], axis: 0, dtype: 'f32', k: 4 },
  { shape: [2, 37, 16], axis: 1, dtype: 'f16' },
];

describe.each(found)('%s', (id) => {
  // Plain JavaScript counts words of 64 bits slowly.
  const asked = id === 'template' ? questions.filter((_, i) => i % 4 === 0) : questions;
  it.each(asked.map((question) => [textOf(question), question] as const))(
    '%s',
    async (_, question) => {
      const opened = await openDevice(id);
      const isOften = question.dtype === 'f32';
      const rows = question.shape.map((size, axis) =>
        axis === question.axis ? size : core.sizeSymbol(1),
      );
      const lengths = question.shape.map((size, axis) =>
        axis === question.axis ? core.sizeSymbol(1) : size,
      );
      for (const shape of isOften ? [question.shape, rows, lengths] : [question.shape]) {
        const x = core.input('x', { dtype: question.dtype, shape });
        const graph = core.graphOf([x], outputsOf(question, x));
        const program = compile(graph, opened.target, opened.plugin.language);
        const executable = await load(program, opened);
        for (const fill of fills) {
          const given = tensorOf(question.dtype, question.shape, fill);
          const actual = await executable.run([given]);
          const expected = core.interpret(graph, [given]);
          expect(actual.map(bytesOf), fill).toEqual(expected.map(bytesOf));
        }
        await executable.dispose();
      }
    },
  );
});
