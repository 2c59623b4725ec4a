import { describe, expect, it } from 'vitest';
import { printExpression } from '../base/expression.js';
import * as b from './build.js';
import { printShape } from './rule.js';

const f32 = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;

describe('builders', () => {
  it('interns equal operations and equal small constants', () => {
    const x = b.input('x', f32(2, 3));
    expect(b.add(x, 1)).toBe(b.add(x, b.scalar('f32', 1)));
    expect(b.scalar('f32', 0)).not.toBe(b.scalar('f32', -0));
  });

  it('broadcasts as NumPy does and refuses what does not fit', () => {
    const x = b.input('x', f32(4, 1, 3));
    const y = b.input('y', f32(2, 3));
    expect(b.add(x, y).shape).toEqual([4, 2, 3]);
    expect(() => b.add(x, b.input('z', f32(2)))).toThrow(/OC-SHAPE-01/);
    expect(() => b.add(x, b.input('z', { dtype: 'i32', shape: [3] }))).toThrow(/OC-DTYPE-02/);
  });

  it('leaves unproven broadcasts to run time', () => {
    const [n, m] = [b.sizeSymbol(), b.sizeSymbol()];
    const x = b.input('x', { dtype: 'f32', shape: [n, 4] });
    const y = b.input('y', { dtype: 'f32', shape: [m, 4] });
    const graph = b.graphOf([x, y], [b.add(x, y)]);
    expect(graph.requirements.map((r) => r.relation)).toEqual(['equal', 'equal']);
    expect(graph.symbols.size).toBe(2);
    expect(printShape(b.add(x, x).shape)).toBe(printShape([n, 4]));
    expect(b.graphOf([x], [b.add(x, x)]).requirements).toEqual([]);
  });

  it('cancels views', () => {
    const x = b.input('x', f32(2, 3, 4));
    expect(b.reshape(b.reshape(x, [6, 4]), [2, 3, 4])).toBe(x);
    expect(b.permute(b.permute(x, [2, 0, 1]), [1, 2, 0])).toBe(x);
    expect(b.slice(x, { starts: [0, 0, 0], sizes: [2, 3, 4] })).toBe(x);
  });

  it('multiplies matrices of any rank', () => {
    const at = (...shape: number[]) => b.input('x', f32(...shape));
    expect(b.matmul(at(5, 2, 3), at(3, 4)).shape).toEqual([5, 2, 4]);
    expect(b.matmul(at(5, 1, 2, 3), at(6, 3, 4)).shape).toEqual([5, 6, 2, 4]);
    expect(b.matmul(at(3), at(5, 3, 4)).shape).toEqual([5, 4]);
    expect(b.matmul(at(5, 2, 3), at(3)).shape).toEqual([5, 2]);
    expect(b.matmul(at(3), at(3)).shape).toEqual([]);
    expect(() => b.matmul(at(2, 3), at(4, 5))).toThrow(/OC-SHAPE-02/);
  });

  it('infers windows', () => {
    const x = b.input('x', f32(1, 8, 28, 28));
    const w = b.input('w', f32(16, 4, 3, 3));
    const y = b.window('convolve', x, w, {
      groups: 2,
      strides: [2, 2],
      padding: [
        [1, 1],
        [1, 1],
      ],
    });
    expect(y.shape).toEqual([1, 16, 14, 14]);
    expect(() => b.window('convolve', x, w, {})).toThrow(/OC-SHAPE-03/);
    expect(b.window('maximum', x, undefined, { kernel: [2, 2], strides: [2, 2] }).shape).toEqual([
      1, 8, 14, 14,
    ]);
  });

  it('keeps accumulation wide', () => {
    const x = b.input('x', { dtype: 'f16', shape: [8] });
    const total = b.sum(x);
    expect(total.dtype).toBe('f16');
    expect(total.op === 'reduce' && total.attributes.accumulate).toBe('f32');
  });

  it('gives sizes from data a symbol with a source', () => {
    const mask = b.input('mask', { dtype: 'bool', shape: [10] });
    const values = b.input('values', f32(10, 2));
    const [chosen, count] = b.compact(mask, values);
    const n = b.elementSize(count, 0);
    const graph = b.graphOf([mask, values], [b.sliceAxis(chosen, 0, 0, n)]);
    const [[name, source]] = [...graph.symbols] as [[string, { from: string }]];
    expect(printExpression(n)).toBe(name);
    expect(source.from).toBe('element');
    expect(graph.requirements.length).toBeGreaterThan(0);
  });
});

describe('regions', () => {
  it('shares equal bodies', () => {
    const x = b.input('x', f32(4));
    const twice = () => b.composite('twice', {}, [x], ([v]) => [b.add(v!, v!)]);
    expect(twice()[0]).toBe(twice()[0]);
  });

  it('refuses a body that uses outside values without capturing them', () => {
    const x = b.input('x', f32(4));
    expect(() => b.composite('leak', {}, [], () => [b.add(x, x)])).toThrow(/outside/);
  });

  it('types loops', () => {
    const n = b.sizeSymbol();
    const x = b.input('x', { dtype: 'f32', shape: [n, 3] });
    const [last, all] = b.loop({
      trip: n,
      carried: [b.constantOf('f32', [3], [0, 0, 0])],
      invariants: [x],
      body: ([state], [xs], i) => {
        const row = b.reshape(b.sliceAxis(xs!, 0, i, 1), [3]);
        const next = b.add(state!, row);
        return { carried: [next], stacked: [next] };
      },
    });
    expect(last!.shape).toEqual([3]);
    expect(printShape(all!.shape)).toBe(printShape([n, 3]));
    const graph = b.graphOf([x], [all!]);
    expect([...graph.symbols.values()].map((s) => s.from)).toEqual(['size']);
    expect(graph.requirements).toEqual([]);
  });

  it('computes sizes first where branches differ', () => {
    const x = b.input('x', f32(6));
    const c = b.input('c', { dtype: 'bool', shape: [] });
    const [y] = b.ifThen(
      c,
      [x],
      ([v]) => [v!],
      ([v]) => [b.sliceAxis(v!, 0, 0, 2)],
    );
    const graph = b.graphOf([x, c], [y!]);
    expect([...graph.symbols.values()].map((s) => s.from)).toEqual(['element']);
  });
});
