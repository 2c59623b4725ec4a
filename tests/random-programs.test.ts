/**
 * Random programs against the interpreter. Values are small whole numbers, so that every answer
 * is exact in f32 whatever the order of additions, and one wrong index shows.
 */
import { setFlagsFromString } from 'node:v8';
import {
  closeDevices,
  compile,
  type HostTensor,
  load,
  type OpenDevice,
  openDevice,
  use,
} from '@open-claw/core';
import type { Graph, Node } from '@open-claw/core/internal';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { threadedWasm, useDevices } from './devices.js';

// Node.js 20 has the relaxed instructions behind this flag; the other row goes by its name.
setFlagsFromString('--experimental-wasm-relaxed-simd');
use(threadedWasm('wasm-threads', 3, 'wasm/simd128'));
const found = await useDevices();

afterAll(closeDevices);

class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed * 2654435761) >>> 0;
  }
  below(limit: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const sizesOf = (node: Node): readonly number[] => node.shape as readonly number[];
const countOf = (node: Node): number => core.elementCount(sizesOf(node));
const bounded = (x: Node): Node => core.maximum(core.minimum(x, 9), -9);

/** One more value from those that are there. */
function grow(random: Random, values: readonly Node[]): Node {
  const x = random.pick(values);
  const shape = sizesOf(x);
  const rank = shape.length;
  const axis = rank === 0 ? 0 : random.below(rank);
  const others = values.filter((v) => v.shape.join() === x.shape.join());
  switch (random.below(rank === 0 ? 4 : 15)) {
    case 0:
    case 1:
      return bounded(core.add(x, random.pick(others)));
    case 2:
      return bounded(core.multiply(x, core.subtract(random.pick(others), 2)));
    case 3:
      return core.select(core.less(x, random.pick(others)), x, core.negate(x));
    case 4:
      return core.permute(x, shuffled(random, rank));
    case 5:
      return core.reshape(x, random.pick(factorings(countOf(x))));
    case 6: {
      const starts = shape.map((size) => random.below(size));
      const steps = shape.map(() => 1 + random.below(2));
      const sizes = shape.map((size, i) => {
        const step = steps[i] as number;
        return 1 + random.below(Math.floor((size - (starts[i] as number) - 1) / step) + 1);
      });
      return core.slice(x, { starts, sizes, steps });
    }
    case 7: {
      if (countOf(x) > 200) return core.flip(x, [axis]);
      const amounts = (): number[] => shape.map(() => random.below(2));
      return core.pad(x, { before: amounts(), after: amounts(), value: random.below(5) });
    }
    case 8:
      return countOf(x) > 200
        ? x
        : core.concat([x, random.pick(others), core.flip(x, [axis])], axis);
    case 9: {
      const kind = random.pick(['sum', 'maximum', 'minimum'] as const);
      return bounded(core.reduce(kind, x, [axis], { keep: random.below(2) === 0 }));
    }
    case 10: {
      const top = core.reduce('maximum', x, [axis], { keep: true });
      const shifted = core.subtract(x, top);
      return bounded(core.subtract(shifted, core.reduce('sum', shifted, [axis], { keep: true })));
    }
    case 11: {
      const y = random.pick(others);
      const flat = (v: Node): Node =>
        core.reshape(v, [countOf(v) / (shape[rank - 1] as number), shape[rank - 1] as number]);
      return countOf(x) > 150 ? x : bounded(core.matmul(flat(x), core.transpose(flat(y))));
    }
    case 12: {
      const indices = Array.from({ length: 3 }, () => BigInt(random.below(shape[axis] as number)));
      return core.gather(x, core.constantOf('i64', [3], indices), axis);
    }
    case 13:
      return bounded(core.cumulate('sum', x, axis));
    default:
      return core.cast(core.cast(x, random.pick(['i32', 'i64', 'i8', 'f16', 'f64'])), 'f32');
  }
}

function shuffled(random: Random, count: number): number[] {
  const axes = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [axes[i], axes[j]] = [axes[j] as number, axes[i] as number];
  }
  return axes;
}

function factorings(count: number): number[][] {
  const found: number[][] = [[count]];
  for (let a = 2; a < count && a < 12; a++) {
    if (count % a === 0) found.push([a, count / a], [count / a, a], [1, a, count / a]);
  }
  return found;
}

interface Case {
  readonly graph: Graph;
  readonly inputs: readonly HostTensor[];
}

function randomCase(seed: number): Case {
  const random = new Random(seed);
  const shapes = [[3, 4], [3, 4], [2, 3, 4], [6]].slice(0, 2 + random.below(3));
  const nodes = shapes.map((shape, i) => core.input(`x${i}`, { dtype: 'f32', shape }));
  const inputs = shapes.map((shape) =>
    core.hostTensor(
      'f32',
      shape,
      Array.from({ length: core.elementCount(shape) }, () => random.below(9) - 4),
    ),
  );
  const values = [...nodes];
  const count = 3 + random.below(22);
  for (let i = 0; i < count; i++) values.push(grow(random, values));
  const outputs = [values[values.length - 1] as Node, random.pick(values), random.pick(values)];
  return { graph: core.graphOf(nodes, outputs), inputs };
}

async function outputsOn(opened: OpenDevice, { graph, inputs }: Case): Promise<HostTensor[]> {
  const program = compile(graph, opened.target, opened.plugin.language);
  const executable = await load(program, opened);
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}

/** Differences in words; −0 counts as 0. */
function differences(actual: readonly HostTensor[], expected: readonly HostTensor[]): string[] {
  return expected.flatMap((tensor, i) => {
    const other = actual[i] as HostTensor;
    if (`${other.shape}` !== `${tensor.shape}`) return [`output ${i}: shape ${other.shape}`];
    const at = Array.from(tensor.data as Float32Array).findIndex(
      (value, j) => value !== other.data[j],
    );
    if (at < 0) return [];
    return [`output ${i}, element ${at}: ${other.data[at]} instead of ${tensor.data[at]}`];
  });
}

/** A compiler process per program is slow; the other devices take all seeds. */
const seedsOf = (id: string): number[] =>
  Array.from({ length: id.startsWith('native') ? 1 : 12 }, (_, i) => i * 40);

describe.each(found)('random programs on %s', (id) => {
  it.each(seedsOf(id))('seeds from %i', async (first) => {
    const opened = await openDevice(id);
    for (let seed = first; seed < first + 40; seed++) {
      const random = randomCase(seed);
      const expected = core.interpret(random.graph, random.inputs);
      const actual = await outputsOn(opened, random).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      });
      expect(differences(actual, expected), `seed ${seed}`).toEqual([]);
    }
  });
});
