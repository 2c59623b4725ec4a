/** Operators that the ONNX suite tries only once or twice, against plain loops on random inputs. */
import { describe, expect, it } from 'vitest';
import { buildGraph, buildModel, buildNode, buildValue } from '../build.js';
import type { AttributeProto } from '../model.js';
import type { OnnxValue } from '../read-data.js';
import { numberOfDtype } from '../read-tensor.js';
import { elementCount, type HostTensor, hostTensor, interpret, valuesOf } from './core.js';
import { specializeModel } from './specialize.js';
import { buildOutput, flattenInputs } from './suite-values.js';

/** Mulberry32: numbers in [0, 1) from a seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const between = (next: () => number, low: number, high: number): number =>
  low + Math.floor(next() * (high - low + 1));

const f32 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('f32', shape, values);
const i64 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('i64', shape, values.map(BigInt));
const counting = (shape: readonly number[]): HostTensor =>
  f32(
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => i + 1),
  );
const int = (name: string, value: number): AttributeProto => ({
  name,
  kind: 'int',
  value: BigInt(value),
});
const ints = (name: string, values: readonly number[]): AttributeProto => ({
  name,
  kind: 'ints',
  value: values.map(BigInt),
});
const text = (name: string, value: string): AttributeProto => ({ name, kind: 'string', value });

/** Outputs of one node; sizes of its inputs are unknown to the importer when `open`. */
function runNode(
  operator: string,
  inputs: readonly HostTensor[],
  attributes: readonly AttributeProto[] = [],
  outputs = 1,
  open = false,
): readonly HostTensor[] {
  const names = inputs.map((_, i) => `x${i}`);
  const made = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const model = buildModel({
    inputs: inputs.map((tensor, i) => {
      const shape = open ? tensor.shape.map(() => null) : tensor.shape;
      return buildValue(names[i] as string, shape, numberOfDtype(tensor.dtype));
    }),
    nodes: [buildNode(operator, names, made, attributes)],
    outputs: made.map((name) => buildValue(name, null)),
  });
  const values = new Map(
    inputs.map((tensor, i): [string, OnnxValue] => [
      names[i] as string,
      { kind: 'tensor', tensor },
    ]),
  );
  const imported = specializeModel(model, values);
  expect(imported.refusals).toEqual([]);
  const results = interpret(imported.graph, flattenInputs(imported, values));
  return imported.outputs.map(({ slot }) => {
    const value = buildOutput(slot, results);
    if (value.kind !== 'tensor') throw new Error('not a tensor');
    return value.tensor;
  });
}

const numbers = (tensor: HostTensor | undefined): number[] =>
  valuesOf(tensor as HostTensor).map(Number);

const stridesOf = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => elementCount(shape.slice(axis + 1)));

const indicesOf = (shape: readonly number[]): number[][] =>
  Array.from({ length: elementCount(shape) }, (_, flat) =>
    shape.map((n, axis) => Math.floor(flat / (stridesOf(shape)[axis] as number)) % n),
  );

const at = (tensor: HostTensor, index: readonly number[]): number => {
  const strides = stridesOf(tensor.shape);
  return Number(tensor.data[index.reduce((all, i, axis) => all + i * (strides[axis] ?? 0), 0)]);
};

const shapeOf = (next: () => number, rank: number): number[] =>
  Array.from({ length: rank }, () => between(next, 1, 5));

describe('Slice', () => {
  it('agrees with the rule of NumPy for bounds and steps of both signs', () => {
    const next = random(1);
    for (let round = 0; round < 60; round++) {
      const shape = shapeOf(next, between(next, 1, 3));
      const x = counting(shape);
      const list = shape.map(() => [
        between(next, -7, 7),
        between(next, -7, 7),
        between(next, 1, 3) * (next() < 0.4 ? -1 : 1),
      ]) as [number, number, number][];
      const picked = shape.map((n, axis) => {
        const [start, end, step] = list[axis] as [number, number, number];
        const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
        const clamp = (i: number): number => Math.min(Math.max(i < 0 ? i + n : i, low), high);
        const places: number[] = [];
        const last = clamp(end);
        for (let i = clamp(start); step > 0 ? i < last : i > last; i += step) places.push(i);
        return places;
      });
      const sizes = picked.map((places) => places.length);
      const wanted = indicesOf(sizes).map((index) =>
        at(
          x,
          index.map((i, axis) => (picked[axis] as number[])[i] as number),
        ),
      );
      const axes = shape.map((_, axis) => axis);
      const column = (i: number): HostTensor =>
        i64(
          [shape.length],
          list.map((each) => each[i] as number),
        );
      const inputs = [x, column(0), column(1), i64([shape.length], axes), column(2)];
      for (const open of [false, true]) {
        const [y] = runNode('Slice', inputs, [], 1, open);
        expect(y?.shape).toEqual(sizes);
        expect(numbers(y)).toEqual(wanted);
      }
    }
  });
});

describe('Pad', () => {
  const sources: Readonly<Record<string, (i: number, n: number) => number>> = {
    edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
    wrap: (i, n) => ((i % n) + n) % n,
    reflect: (i, n) => {
      const period = Math.max(2 * (n - 1), 1);
      const phase = ((i % period) + period) % period;
      return n === 1 ? 0 : Math.min(phase, period - phase);
    },
  };

  it('repeats, mirrors, fills and crops', () => {
    const next = random(2);
    for (let round = 0; round < 60; round++) {
      const shape = shapeOf(next, between(next, 1, 3)).map((n) => n + 1);
      const x = counting(shape);
      const mode = ['edge', 'wrap', 'reflect', 'constant'][round % 4] as string;
      const amount = (): number => between(next, -1, 3);
      const [before, after] = [shape.map(amount), shape.map(amount)];
      const sizes = shape.map((n, i) => n + (before[i] as number) + (after[i] as number));
      if (sizes.some((n) => n < 0)) continue;
      const wanted = indicesOf(sizes).map((index) => {
        const from = index.map((i, axis) => i - (before[axis] as number));
        if (mode !== 'constant') {
          const source = sources[mode] as (i: number, n: number) => number;
          return at(
            x,
            from.map((i, axis) => source(i, shape[axis] as number)),
          );
        }
        const inside = from.every((i, axis) => i >= 0 && i < (shape[axis] as number));
        return inside ? at(x, from) : -9;
      });
      const pads = i64([2 * shape.length], [...before, ...after]);
      for (const open of [false, true]) {
        const inputs = mode === 'constant' ? [x, pads, f32([], [-9])] : [x, pads];
        const [y] = runNode('Pad', inputs, [text('mode', mode)], 1, open);
        expect(y?.shape).toEqual(sizes);
        expect(numbers(y)).toEqual(wanted);
      }
    }
  });
});

describe('lookups and updates', () => {
  it('GatherND and ScatterND address rows by their leading coordinates', () => {
    const next = random(3);
    for (let round = 0; round < 30; round++) {
      const shape = shapeOf(next, 3);
      const data = counting(shape);
      const width = between(next, 1, 3);
      const count = between(next, 1, 4);
      const rows = Array.from({ length: count }, () =>
        shape.slice(0, width).map((n) => between(next, -n, n - 1)),
      );
      const places = rows.map((row) => row.map((i, axis) => (i < 0 ? i + (shape[axis] ?? 0) : i)));
      const indices = i64([count, width], rows.flat());
      const rest = shape.slice(width);
      const [picked] = runNode('GatherND', [data, indices]);
      const wanted = places.flatMap((row) =>
        indicesOf(rest).map((inner) => at(data, [...row, ...inner])),
      );
      expect(numbers(picked)).toEqual(wanted);
      const updates = f32(
        [count, ...rest],
        Array.from({ length: count * elementCount(rest) }, () => between(next, 1, 9)),
      );
      const sums = numbers(data);
      const strides = stridesOf(shape);
      for (const [k, row] of places.entries()) {
        for (const inner of indicesOf(rest)) {
          const flat = [...row, ...inner].reduce(
            (all, i, axis) => all + i * (strides[axis] ?? 0),
            0,
          );
          sums[flat] = (sums[flat] ?? 0) + at(updates, [k, ...inner]);
        }
      }
      const [summed] = runNode('ScatterND', [data, indices, updates], [text('reduction', 'add')]);
      expect(numbers(summed)).toEqual(sums);
    }
  });

  it('GatherElements and ScatterElements replace one coordinate', () => {
    const next = random(4);
    for (let round = 0; round < 30; round++) {
      const shape = shapeOf(next, 3);
      const axis = between(next, 0, 2);
      const sizes = shape.map((n, i) => (i === axis ? between(next, 1, 4) : between(next, 1, n)));
      const data = counting(shape);
      const n = shape[axis] as number;
      const values = Array.from({ length: elementCount(sizes) }, () => between(next, -n, n - 1));
      const indices = i64(sizes, values);
      const from = indicesOf(sizes).map((index, k) => {
        const value = values[k] as number;
        return index.with(axis, value < 0 ? value + n : value);
      });
      const [picked] = runNode('GatherElements', [data, indices], [int('axis', axis)]);
      expect(numbers(picked)).toEqual(from.map((index) => at(data, index)));
      const updates = f32(
        sizes,
        values.map((_, k) => -k - 1),
      );
      const written = numbers(data);
      const strides = stridesOf(shape);
      for (const [k, index] of from.entries()) {
        written[index.reduce((all, i, a) => all + i * (strides[a] ?? 0), 0)] = -k - 1;
      }
      const [made] = runNode('ScatterElements', [data, indices, updates], [int('axis', axis)]);
      expect(numbers(made)).toEqual(written);
    }
  });

  it('fail for an index outside its axis even where the flat place is inside', () => {
    const data = counting([2, 3]);
    expect(() => runNode('GatherND', [data, i64([1, 2], [0, 3])])).toThrow(/OC-RUN/);
    const far = [data, i64([1, 1], [5])];
    expect(() => runNode('GatherElements', far, [int('axis', 1)])).toThrow(/OC-RUN/);
  });

  it('ReverseSequence turns the first elements of each row or column', () => {
    const x = counting([4, 3, 2]);
    for (const [time, batch] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const lengths = batch === 1 ? [1, 4, 2] : [3, 1, 2, 0];
      const axes = [int('time_axis', time), int('batch_axis', batch)];
      const wanted = indicesOf([4, 3, 2]).map((index) => {
        const length = lengths[index[batch] as number] as number;
        const t = index[time] as number;
        return at(x, index.with(time, t < length ? length - 1 - t : t));
      });
      const [y] = runNode('ReverseSequence', [x, i64([lengths.length], lengths)], axes);
      expect(numbers(y)).toEqual(wanted);
    }
  });

  it('SpaceToDepth undoes DepthToSpace', () => {
    const x = counting([2, 8, 3, 2]);
    const [y] = runNode('DepthToSpace', [x], [int('blocksize', 2)]);
    expect(y?.shape).toEqual([2, 2, 6, 4]);
    const [z] = runNode('SpaceToDepth', [y as HostTensor], [int('blocksize', 2)]);
    expect(z?.shape).toEqual([2, 8, 3, 2]);
    expect(numbers(z)).toEqual(numbers(x));
  });
});

describe('order', () => {
  it('TopK gives the lower index first among equal values', () => {
    const next = random(5);
    for (let round = 0; round < 20; round++) {
      const count = between(next, 1, 12);
      const values = Array.from({ length: count }, () => between(next, 0, 4));
      const k = between(next, 0, count);
      const largest = next() < 0.5;
      const order = values.map((_, i) => i);
      order.sort((a, b) => {
        const difference = (values[a] as number) - (values[b] as number);
        return (largest ? -difference : difference) || a - b;
      });
      const inputs = [f32([count], values), i64([1], [k])];
      const [, places] = runNode('TopK', inputs, [int('largest', largest ? 1 : 0)], 2, true);
      expect(numbers(places)).toEqual(order.slice(0, k));
    }
  });

  it('Unique names values, first places, inverse and counts', () => {
    const next = random(6);
    for (let round = 0; round < 20; round++) {
      const values = Array.from({ length: between(next, 1, 12) }, () => between(next, 0, 4));
      const sorted = next() < 0.5;
      const different = [...new Set(values)];
      if (sorted) different.sort((a, b) => a - b);
      const x = f32([values.length], values);
      const [y, first, inverse, counts] = runNode(
        'Unique',
        [x],
        [int('sorted', sorted ? 1 : 0)],
        4,
        true,
      );
      expect(numbers(y)).toEqual(different);
      expect(numbers(first)).toEqual(different.map((each) => values.indexOf(each)));
      expect(numbers(inverse)).toEqual(values.map((each) => different.indexOf(each)));
      expect(numbers(counts)).toEqual(
        different.map((each) => values.filter((other) => other === each).length),
      );
    }
  });

  it('Compress keeps what its mask names, a short mask drops the rest', () => {
    const x = counting([3, 4]);
    const mask = hostTensor('bool', [3], [true, false, true]);
    const [y] = runNode('Compress', [x, mask], [int('axis', 1)]);
    expect(y?.shape).toEqual([3, 2]);
    expect(numbers(y)).toEqual([1, 3, 5, 7, 9, 11]);
    const [flat] = runNode('Compress', [x, mask]);
    expect(numbers(flat)).toEqual([1, 3]);
  });
});

describe('Scan', () => {
  it('walks other axes and from the end', () => {
    const body = buildGraph({
      inputs: [buildValue('s', [2]), buildValue('e', [2])],
      nodes: [buildNode('Add', ['s', 'e'], ['t']), buildNode('Identity', ['t'], ['o'])],
      outputs: [buildValue('t', [2]), buildValue('o', [2])],
    });
    const attributes: AttributeProto[] = [
      { name: 'body', kind: 'graph', value: body },
      int('num_scan_inputs', 1),
      ints('scan_input_axes', [1]),
      ints('scan_input_directions', [1]),
      ints('scan_output_axes', [1]),
      ints('scan_output_directions', [1]),
    ];
    const inputs = [f32([2], [0, 10]), counting([2, 3])];
    const [last, all] = runNode('Scan', inputs, attributes, 2);
    expect(numbers(last)).toEqual([6, 25]);
    expect(all?.shape).toEqual([2, 3]);
    expect(numbers(all)).toEqual([6, 5, 3, 25, 21, 16]);
  });
});
