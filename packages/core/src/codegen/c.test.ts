/** The C text itself: what it may contain, how it is split, how integers are written. */
import { describe, expect, it } from 'vitest';
import * as e from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Statement, TileProgram } from '../kernel/tile.js';
import { cLanguage } from './c.js';
import { literalText } from './c-literal.js';
import { splitSource } from './c-source.js';
import { cLikeTokens, printExpression } from './expression-text.js';

const target = {
  id: 'native/generic',
  fusedMultiplyAdd: false,
  math: [] as string[],
} as unknown as Target;

const program = (name: string, body: readonly Statement[], extra = {}): TileProgram => ({
  contract: 1,
  name,
  target: target.id,
  lanes: 1,
  group: 1,
  buffers: [{ name: 'a', memory: 'f32', access: 'readWrite' }],
  sizes: ['n'],
  indexType: 'i64',
  scratch: [],
  grid: [{ name: 'g', extent: e.variable('n') }],
  body,
  mayFail: false,
  ...extra,
});

const f32 = { dtype: 'f32', shape: [] } as const;
const load = (buffer: string): Statement => ({
  kind: 'let',
  id: 0,
  type: f32,
  operation: { kind: 'load', access: { buffer, address: e.variable('g'), strides: [] } },
});

describe('C source', () => {
  it('uses no header and describes each entry', () => {
    const scratch = [{ name: 't', memory: 'f64', length: 9, space: 'scratch' }];
    const kernels = [program('k0', [load('a')], { scratch, mayFail: true })];
    const source = cLanguage.emit(kernels, target);
    expect(source.text).not.toContain('#include');
    expect(source.entries).toEqual([
      {
        name: 'k0',
        group: [1, 1, 1],
        sharedBytes: 0,
        scratchBytes: 128,
        buffers: [
          { name: 'a', write: true },
          { name: 'status', write: true },
        ],
        sizes: ['n'],
        indexType: 'i64',
        axes: 1,
      },
    ]);
  });

  it('splits into sources that hold every kernel once', () => {
    const names = ['k0', 'k1', 'k2', 'k3', 'k4'];
    const { text = '' } = cLanguage.emit(
      names.map((name) => program(name, [])),
      target,
    );
    const pieces = splitSource(text, 2);
    expect(pieces).toHaveLength(2);
    for (const name of names) {
      expect(pieces.filter((piece) => piece.includes(` ${name}(`))).toHaveLength(1);
    }
    expect(pieces.every((piece) => piece.startsWith('typedef float f32;'))).toBe(true);
  });

  it('lets no text through that is no identifier', () => {
    for (const name of ['a b', 'x;y', '*/', 'a\nb', '']) {
      expect(() => cLanguage.emit([program(name, [])], target)).toThrow(/OC-INTERNAL-01/);
      const buffers = [{ name, memory: 'f32', access: 'read' }];
      const broken = program('k', [load(name)], { buffers });
      expect(() => cLanguage.emit([broken], target)).toThrow(/OC-INTERNAL-01/);
    }
  });

  it('refuses what the target lacks and what it does not know', () => {
    const sine: Statement = {
      kind: 'let',
      id: 1,
      type: f32,
      operation: { kind: 'unary', name: 'sin', a: 0 },
    };
    const kernels = [program('k', [load('a'), sine])];
    expect(() => cLanguage.emit(kernels, target)).toThrow(/OC-REFUSED-01.*sin/);
    expect(cLanguage.emit(kernels, { ...target, math: ['sin'] }).text).toContain('__builtin_sinf');
    const later = program('k', [], { contract: 2 });
    expect(() => cLanguage.emit([later], target)).toThrow(/OC-REFUSED-01/);
    const unknown = { kind: 'later' } as never;
    expect(() => cLanguage.emit([program('k', [unknown])], target)).toThrow(/OC-INTERNAL-01/);
  });
});

describe('literals', () => {
  it('are exact', () => {
    expect(literalText('f32', 0.1)).toBe('(0.10000000149011612f)');
    expect(literalText('f32', -0)).toBe('(-0.0f)');
    expect(literalText('f64', 1e300)).toBe('(1e+300)');
    expect(literalText('f32', Number.NaN)).toBe('(__builtin_nanf(""))');
    expect(literalText('f64', Number.NEGATIVE_INFINITY)).toBe('(-__builtin_inf())');
    expect(literalText('i64', -(2n ** 63n))).toBe('(-9223372036854775807ll - 1)');
    expect(literalText('u64', 2n ** 64n - 1n)).toBe('18446744073709551615ull');
  });
});

describe('integer expressions', () => {
  const i = e.variable('i', 100);
  const any = e.variable('z', undefined, Number.NEGATIVE_INFINITY);
  const text = (x: e.Expression) => printExpression(x, cLikeTokens);

  it('use the plain operators only where nothing is negative', () => {
    expect(text(e.floorDivide(i, 7))).toContain('i / 7');
    expect(text(e.floorDivide(any, 7))).toContain('floor_divide(z, 7)');
    expect(text(e.modulo(any, 7))).toContain('floor_modulo(z, 7)');
  });

  it('begin with what is added', () => {
    expect(text(e.subtract(5, i))).toBe('(5 - i)');
    expect(text(e.negate(i))).toBe('(0 - i)');
    expect(text(-3)).toBe('(-3)');
    expect(text(e.add(e.multiply(i, 4), -1))).toBe('(i * 4 - 1)');
  });
});
