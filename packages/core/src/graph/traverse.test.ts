import { describe, expect, it } from 'vitest';
import { printExpression } from '../base/expression.js';
import * as b from './build.js';
import type { Node } from './node.js';
import { printGraph } from './print.js';
import { inline, rewrite, substituteSymbols } from './rewrite.js';
import { nodesOf, usersOf } from './traverse.js';
import { verify } from './verify.js';

const f32 = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;

describe('traverse', () => {
  it('orders, verifies, prints and rewrites 100,000 nodes without recursion', () => {
    const x = b.input('x', f32(2));
    let value: Node = x;
    for (let i = 0; i < 100_000; i++) value = i % 2 === 0 ? b.exp(value) : b.tanh(value);
    const graph = b.graphOf([x], [value]);
    const order = nodesOf(graph);
    expect(order.length).toBe(100_001);
    expect(order[0]).toBe(x);
    verify(graph);
    expect(printGraph(graph).split('\n').length).toBe(100_003);
    const other = rewrite(graph, (node) =>
      node.op === 'exp' ? b.sin(node.inputs[0] as Node) : undefined,
    );
    expect(nodesOf(other).filter((node) => node.op === 'sin').length).toBe(50_000);
    verify(other);
  });

  it('returns the same graph when nothing changes', () => {
    const x = b.input('x', f32(2));
    const graph = b.graphOf([x], [b.exp(x)]);
    expect(rewrite(graph, () => undefined)).toBe(graph);
  });

  it('lists users once', () => {
    const x = b.input('x', f32(2));
    const y = b.multiply(x, x);
    expect(usersOf(b.graphOf([x], [y])).get(x)).toEqual([y]);
  });

  it('rebinds sizes that come from rewritten tensors', () => {
    const mask = b.input('mask', { dtype: 'bool', shape: [10] });
    const values = b.input('values', f32(10, 2));
    const [chosen, count] = b.compact(mask, b.exp(values));
    const graph = b.graphOf(
      [mask, values],
      [b.sliceAxis(chosen, 0, 0, b.elementSize(count, 0, { minimum: 1 }))],
    );
    const changed = rewrite(graph, (node) =>
      node.op === 'exp' ? b.tanh(node.inputs[0] as Node) : undefined,
    );
    verify(changed);
    expect(nodesOf(changed).some((node) => node.op === 'exp')).toBe(false);
  });

  it('substitutes sizes, bodies included', () => {
    const n = b.sizeSymbol();
    const x = b.input('x', { dtype: 'f32', shape: [n, 3] });
    const [, all] = b.loop({
      trip: n,
      carried: [b.constantOf('f32', [3], [0, 0, 0])],
      invariants: [x],
      body: ([state], [xs], i) => {
        const next = b.add(state!, b.reshape(b.sliceAxis(xs!, 0, i, 1), [3]));
        return { carried: [next], stacked: [next] };
      },
    });
    const graph = b.graphOf([x], [all!]);
    const fixed = substituteSymbols(graph, new Map([[printExpression(n), 5]]));
    verify(fixed);
    expect(fixed.outputs[0]!.shape).toEqual([5, 3]);
    expect(fixed.symbols.size).toBe(0);
  });

  it('inlines a graph on values of other sizes', () => {
    const n = b.sizeSymbol();
    const x = b.input('x', { dtype: 'f32', shape: [n, 3] });
    const graph = b.graphOf([x], [b.reshape(b.exp(x), [3, n])]);
    const y = b.input('y', f32(7, 3));
    expect(inline(graph, [y])[0]!.shape).toEqual([3, 7]);
    verify(b.graphOf([y], inline(graph, [y])));
  });
});

describe('print', () => {
  it('does not show ids', () => {
    const text = (): string => {
      const n = b.sizeSymbol();
      const x = b.input('x', { dtype: 'f32', shape: [n, 4] });
      const [y] = b.composite('twice', { times: 2 }, [b.exp(x)], ([v]) => [b.add(v!, v!)]);
      return printGraph(b.graphOf([x], [b.add(y!, 1.5)]));
    };
    const once = text();
    expect(text()).toBe(once);
    expect(once).toBe(
      [
        '%0: f32[n0, 4] = input "x"',
        '%1: f32[n0, 4] = exp(%0)',
        '%2: f32[n0, 4] = composite(%1) "twice" {times: 2}',
        '  body:',
        '    %3: f32[n0, 4] = input "p1_0"',
        '    %4: f32[n0, 4] = add(%3, %3)',
        '    symbol n0 = size 0 of %3',
        '    return %4',
        '%5: f32[n0, 4] = part(%2) {index: 0}',
        '%6: f32[] = constant 1.5',
        '%7: f32[1, 1] = reshape(%6)',
        '%8: f32[n0, 4] = expand(%7)',
        '%9: f32[n0, 4] = add(%5, %8)',
        'symbol n0 = size 0 of %0',
        'return %9',
        '',
      ].join('\n'),
    );
  });
});

describe('sizes from integer tensors', () => {
  it('follows shape arithmetic', () => {
    const n = b.sizeSymbol();
    const shape = b.concat([b.reshape(b.size(n), [1]), b.constantOf('i64', [2], [4n, 6n])], 0);
    const middle = b.gather(shape, b.constantOf('i64', [2], [0n, 2n]));
    const total = b.productOver(b.multiply(middle, 2));
    expect(printExpression(b.elementSize(total, 0))).toBe(`24*${printExpression(n)}`);
    expect(b.elementSize(b.divide(shape, 2), 1)).toBe(2);
  });
});
