/** Products of small integers by words of several, on every row that this CPU has: exact. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, type HostTensor, hostTensor, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { compilersOnPath } from './compiler.js';
import { nativeDevice } from './index.js';
import { rows } from './targets.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const missing = compilersOnPath().length === 0;
if (missing) console.warn('skipped: gcc or clang not found: install build-essential');

const names = ['avx512', 'avx512f', 'avx2', 'generic'] as const;
type Name = (typeof names)[number];

async function opened(row: Name) {
  const plugin = nativeDevice({ cache: folder, row, threads: 2 });
  const [found] = await plugin.probe();
  return found !== undefined && 'target' in found
    ? { row, plugin, target: found.target }
    : undefined;
}
type Opened = NonNullable<Awaited<ReturnType<typeof opened>>>;
const found = missing ? [] : await Promise.all(names.map(opened));
const able = found.filter((each): each is Opened => each !== undefined);

async function run({ plugin, target }: Opened, graph: core.Graph, inputs: readonly HostTensor[]) {
  const device = await plugin.open(target.id);
  const program = compile(graph, target, plugin.language);
  const executable = await load(program, { id: target.id, device, plugin, target } as never);
  const [output] = await executable.run(inputs);
  await executable.dispose();
  await device.close();
  return { output: output as HostTensor, text: program.source?.text ?? '' };
}

let state = 23;
const below = (limit: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};
const ends = {
  u8: [0, 255],
  i8: [-128, 127],
  i16: [-32768, 32767],
} as const;
type Small = keyof typeof ends;

/** All values that a type has, or its least and its greatest only. */
function small(dtype: Small, shape: readonly number[], isExtreme: boolean): HostTensor {
  const [low, high] = ends[dtype];
  const value = (): number =>
    isExtreme ? (below(4) === 0 ? high : low) : low + below(high - low + 1);
  return hostTensor(dtype, shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value));
}

/** Less a zero point, by less a zero point; the right operand as an input and as a constant. */
async function compare(
  on: Opened,
  [a, b]: readonly [HostTensor, HostTensor],
  zeros: readonly [number, number],
  words: RegExp,
): Promise<void> {
  const x = core.input('a', a);
  for (const y of [core.input('b', b), core.constant(b)]) {
    const [left, right] = [x, y].map((node, i) => {
      const zero = zeros[i] ?? 0;
      const wide = core.cast(node, 'i32');
      return zero === 0 ? wide : core.subtract(wide, core.scalar('i32', zero));
    }) as [core.Node, core.Node];
    const graph = core.graphOf(y.op === 'input' ? [x, y] : [x], [core.matmul(left, right)]);
    const inputs = y.op === 'input' ? [a, b] : [a];
    const [wanted] = core.interpret(graph, inputs);
    const { output, text } = await run(on, graph, inputs);
    if (y.op === 'constant') expect(text).toMatch(words);
    expect(output.data).toEqual(wanted?.data);
  }
}

it('lists the unit of halves in every row of x86', () => {
  for (const { name, matrixUnits = [] } of rows) {
    expect(matrixUnits.some((unit) => unit.name === 'dot-i16')).toBe(name !== 'neon');
  }
});

describe.each(able)('$row', (on) => {
  const hasBytes = on.row === 'avx512';
  const halves = /multiply_halves/;
  it.each([
    ['u8', 0, 'i8', 0, [70, 300], [300, 90], false],
    ['u8', 128, 'i8', 0, [33, 67], [67, 45], false],
    ['u8', 0, 'i8', 0, [17, 129], [129, 40], true],
    ['i8', 0, 'i8', 0, [9, 1001], [1001, 200], true],
    ['u8', 7, 'u8', 9, [40, 70], [70, 50], false],
    ['u8', 0, 'u8', 0, [12, 255], [255, 33], true],
    ['i16', 0, 'i16', 0, [14, 33], [33, 20], false],
    // Two products of the least by the least wrap.
    ['i16', 0, 'i16', 0, [8, 64], [64, 16], true],
    ['i8', -1, 'i8', 0, [1, 90], [90, 70], false],
    ['u8', 0, 'i8', 0, [3, 64], [64, 5], true],
    ['u8', 0, 'i8', 0, [3, 11, 50], [3, 50, 37], false],
    ['i8', 0, 'i8', 0, [2, 9, 18], [18, 24], true],
  ] as const)('%s less %i by %s less %i, %j by %j', async (...facts) => {
    const [leftType, leftZero, rightType, rightZero, leftShape, rightShape, isExtreme] = facts;
    const a = small(leftType, leftShape, isExtreme);
    const b = small(rightType, rightShape, isExtreme);
    const takesBytes = hasBytes && rightType === 'i8' && rightZero === 0;
    await compare(on, [a, b], [leftZero, rightZero], takesBytes ? /multiply_bytes/ : halves);
  });

  it('of random sizes', async () => {
    for (let i = 0; i < 3; i++) {
      const [m, k, n] = [8 + below(40), 16 + below(300), 1 + below(100)];
      const a = small('u8', [m, k], i === 1);
      const b = small('u8', [k, n], i > 0);
      await compare(on, [a, b], [0, 0], halves);
    }
  });

  it('of operands that lie turned', async () => {
    const [a, b] = [small('i8', [70, 50], false), small('i8', [41, 70], false)];
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const wide = [x, y].map((node) => core.cast(core.permute(node, [1, 0]), 'i32'));
    const [left, right] = wide as [core.Node, core.Node];
    const graph = core.graphOf([x, y], [core.matmul(left, right)]);
    const [wanted] = core.interpret(graph, [a, b]);
    const { output, text } = await run(on, graph, [a, b]);
    expect(text).toMatch(/multiply_(bytes|halves)/);
    expect(output.data).toEqual(wanted?.data);
  });
});
