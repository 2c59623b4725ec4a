import { describe, expect, it } from 'vitest';
import * as e from '../base/expression.js';
import { evaluatorOf } from './sizes.js';

describe('evaluatorOf', () => {
  const [n, m] = [e.variable('n'), e.variable('m')];
  const sizes: readonly e.Expression[] = [
    7,
    n,
    e.add(e.multiply(3, n, m), n, 2),
    e.ceilDivide(e.add(n, m), 4),
    e.modulo(e.multiply(n, 5), e.add(m, 1)),
    e.maximum(e.subtract(n, m), e.minimum(n, 3)),
    e.choose(e.lessThan(n, m), n, m),
    e.equalTo(n, m),
  ];
  it.each(sizes.map((size) => [e.printExpression(size), size] as const))('%s', (_, size) => {
    const evaluator = evaluatorOf(size);
    for (let a = 0; a < 8; a++) {
      for (let b = 0; b < 8; b++) {
        const values = new Map([
          ['n', a],
          ['m', b],
        ]);
        expect(evaluator(values)).toBe(e.evaluate(size, (name) => values.get(name)));
      }
    }
  });

  it('refuses a symbol without a number', () => {
    expect(() => evaluatorOf(n)(new Map())).toThrow('OC-INTERNAL-01');
  });
});
