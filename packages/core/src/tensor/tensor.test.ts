/** What does not depend on a device; computed by the interpreter. Devices: tests/tensor.test.ts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { debug } from '../base/debug.js';
import { valueAndGradWithAux } from './autograd.js';
import { arange, fromHost, ones, tensor, zeros } from './create.js';
import { setDevice } from './devices.js';
import { record } from './evaluate.js';
import { nodeOf } from './handle.js';
import { jit } from './jit.js';
import { randn } from './random.js';
import { realize, scope } from './scope.js';
import { leaks } from './storage.js';
import type { Tensor } from './tensor.js';
import { mapTree, tensorsOf, treeKey, zipTrees } from './tree.js';

beforeEach(() => setDevice('interpreter'));
afterEach(() => {
  debug.level = 0;
});

const graphOf = (x: Tensor) => record([nodeOf(x)]).graph;

describe('recording', () => {
  it('finds the same graph for other values, seeds and known intermediates', async () => {
    const program = (seed: number, factor: number): Tensor =>
      randn([4], { seed }).mul(tensor(factor)).add(1).sum();
    expect(graphOf(program(1, 2))).toBe(graphOf(program(5, -3)));
    expect(graphOf(tensor([1, 2]).exp())).toBe(graphOf(tensor([3, 4]).exp()));
    expect(graphOf(tensor([1, 2]).exp())).not.toBe(graphOf(tensor([1, 2, 3]).exp()));
    const x = await tensor([1, 2]).mul(3).realize();
    expect(graphOf(x.exp())).toBe(graphOf(tensor([3, 4]).exp()));
  });

  it('keeps constants in programs although their value is known', async () => {
    const before = graphOf(tensor([1, 2]).add(zeros([2])));
    const zero = await zeros([2]).realize();
    expect(graphOf(tensor([1, 2]).add(zeros([2])))).toBe(before);
    const step = jit((x: Tensor) => x.add(zeros([2])).relu());
    await step(tensor([1, 2]));
    zero.dispose();
    expect(await (await step(tensor([3, -4]))).array()).toEqual([3, 0]);
  });

  it('starts from a value when it was read', async () => {
    const x = tensor([1, 2]).mul(2);
    const before = nodeOf(x);
    expect(before.op).toBe('multiply');
    await x.data();
    expect(nodeOf(x).op).toBe('input');
    expect(await x.add(1).array()).toEqual([3, 5]);
  });
});

describe('memory', () => {
  it('reports what is held and where it was made', async () => {
    debug.level = 1;
    const base = leaks().length;
    const x = await ones([3]).mul(2).realize();
    const found = leaks().slice(base);
    expect(found).toHaveLength(1);
    expect(found[0]?.where).toMatch(/tensor\.test\.ts:\d+/);
    expect(found[0]?.bytes).toBe(12);
    x.dispose();
    x.dispose();
    expect(leaks()).toHaveLength(base);
  });

  it('releases with `using` and scopes inside scopes', async () => {
    let seen: Tensor | undefined;
    {
      using x = tensor([1]);
      seen = x;
    }
    expect(() => seen?.add(1)).toThrow(/OC-TENSOR-01/);
    const [outer, middle] = await scope(async () => {
      const made = tensor([2]);
      const inner = await scope(() => made.mul(5));
      expect(await made.array()).toEqual([2]);
      return [inner.add(1), inner] as const;
    });
    expect(await outer.array()).toEqual([11]);
    expect(await middle.array()).toEqual([10]);
    await expect(
      scope(() => {
        seen = tensor([3]);
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    expect(() => seen?.add(1)).toThrow(/OC-TENSOR-01/);
  });
});

describe('trees', () => {
  const tree = { a: tensor([1]), list: [tensor([2]), { b: tensor([3]) }], name: 'x' };

  it('maps, lists and joins', async () => {
    const sum = zipTrees([tree, tree], (x, y) => (x as Tensor).add(y as Tensor));
    expect(sum.name).toBe('x');
    await realize(sum);
    expect(await Promise.all(tensorsOf(sum).map((leaf) => leaf.item()))).toEqual([2, 4, 6]);
    expect(tensorsOf(mapTree(tree, (leaf) => leaf.neg()))).toHaveLength(3);
  });

  it('tells kinds of arguments apart', () => {
    expect(treeKey({ x: tensor([1]) })).toBe(treeKey({ x: tensor([2]) }));
    const kinds = [1, '1', -0, 0, true, undefined, null, [1], tensor([1]), tensor([1n])];
    expect(new Set(kinds.map(treeKey)).size).toBe(kinds.length);
  });
});

it('passes other results of a differentiated function on', async () => {
  const step = valueAndGradWithAux((x: Tensor, scale: number) => {
    const y = x.mul(scale);
    return [y.square().sum(), { y, scale }] as const;
  });
  const [value, gradient, aux] = step(arange(3), 2);
  expect(await value.item()).toBe(20);
  expect(await gradient.array()).toEqual([0, 8, 16]);
  expect(await aux.y.array()).toEqual([0, 2, 4]);
  expect(aux.scale).toBe(2);
});

it('refuses strings', () => {
  const text = { dtype: 'string', shape: [1], data: ['a'] } as const;
  expect(() => fromHost(text)).toThrow(/OC-DTYPE-01/);
});
