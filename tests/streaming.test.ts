/** Stores past the caches: kernels made as if outputs were large, on arrays that begin anywhere. */
import { compile, elementCount, type HostTensor, load, type OpenDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { describe, expect, it } from 'vitest';

const plugin = nativeDevice();

async function openRow(row: string): Promise<OpenDevice | undefined> {
  const target = plugin.targets.find(({ id }) => id === row);
  const device = await plugin.open(row).catch(() => undefined);
  if (device === undefined || target === undefined) return undefined;
  const found = (await plugin.probe()).find((one) => 'target' in one);
  if (found === undefined || !('target' in found)) return undefined;
  return { id: row, device, plugin, found, target, evidence: 'hardware' };
}

/** Elements from `offset` of an array, so that memory begins off a line. */
function numbers(shape: readonly number[], offset: number): HostTensor {
  const count = elementCount(shape);
  const data = new Float32Array(count + offset).subarray(offset);
  for (let i = 0; i < count; i++) data[i] = (((i * 7919 + 13) % 2003) - 1001) / 256;
  return { dtype: 'f32', shape, data };
}

const chain = (x: core.Node): core.Node => core.add(core.gelu(core.multiply(x, 0.7), 'tanh'), 1);
const turn = (x: core.Node): core.Node => core.multiply(core.permute(x, [0, 2, 1]), 0.7);
const f32 = (shape: readonly core.Size[]): core.Node => core.input('x', { dtype: 'f32', shape });

const cases: readonly (readonly [string, readonly number[], (fixed: boolean) => core.Graph])[] = [
  ['a chain', [5003], (fixed) => graph(fixed ? [5003] : [core.sizeSymbol(1)], chain)],
  [
    'rows plus a vector',
    [9, 1999],
    (fixed) =>
      graph(fixed ? [9, 1999] : [core.sizeSymbol(1), 1999], (x) =>
        core.add(chain(x), core.reduce('maximum', x, [0])),
      ),
  ],
  ['turned rows', [2, 528, 43], (fixed) => graph([fixed ? 2 : core.sizeSymbol(1), 528, 43], turn)],
  [
    'short turned rows',
    [3, 96, 43],
    (fixed) => graph([fixed ? 3 : core.sizeSymbol(1), 96, 43], turn),
  ],
  [
    'softmax',
    [5, 3001],
    (fixed) => graph(fixed ? [5, 3001] : [5, core.sizeSymbol(1)], (x) => core.softmax(x, -1)),
  ],
];

function graph(shape: readonly core.Size[], make: (x: core.Node) => core.Node): core.Graph {
  const x = f32(shape);
  return core.graphOf([x], [make(x)]);
}

describe.each(['native/avx512', 'native/avx2'])('streaming stores on %s', (row) => {
  for (const [name, shape, make] of cases) {
    for (const fixed of [true, false]) {
      it(`${name}, ${fixed ? 'fixed' : 'symbolic'} sizes`, async ({ skip }) => {
        const opened = await openRow(row);
        if (opened === undefined) return skip();
        const built = make(fixed);
        const target = { ...opened.target, streamBytes: 2 ** 12 };
        const program = compile(built, target, plugin.language);
        // Where a vector is a line, rows as short as that are written as they are.
        const streams = row === 'native/avx2' || name !== 'short turned rows';
        expect((program.source?.text ?? '').includes('stream_f32x')).toBe(streams);
        const executable = await load(program, opened);
        for (const offset of [0, 1, 4, 12]) {
          const input = numbers(shape, offset);
          const [expected] = core.interpret(built, [input]);
          const into = [numbers(shape, 16 - offset)];
          const [result] = await executable.run([input], { into });
          expect(result?.data).toBe(into[0]?.data);
          const want = (expected as HostTensor).data as Float32Array;
          const got = (result as HostTensor).data as Float32Array;
          const worst = got.reduce(
            (most, value, i) => Math.max(most, Math.abs(value - (want[i] as number))),
            0,
          );
          expect(worst).toBeLessThan(2e-6);
        }
        await executable.dispose();
        await opened.device.close();
      });
    }
  }
});

describe('walks by vectors of half a line', () => {
  const target = plugin.targets.find(({ id }) => id === 'native/avx2');
  if (target === undefined) throw new Error('no such row');
  const small = { ...target, streamBytes: 2 ** 12 };

  it.each(cases)('of %s begin at whole lines', (_, __, make) => {
    const text = compile(make(true), small, plugin.language).source?.text;
    expect(text).toContain('& 63) / 4');
    expect(text).not.toContain('& 31) / 4');
  });

  it('write lines whole where rows are turned, and ask for short rows', () => {
    const textOf = (...shape: number[]) =>
      compile(graph(shape, turn), small, plugin.language).source?.text ?? '';
    const stores = textOf(1, 528, 1024).match(/stream_f32x8\(b_b0 .*/g) ?? [];
    expect(stores).toHaveLength(16);
    expect(stores[0]?.replace(/,.*/, '')).toBe(stores[1]?.replace(/ \+ 8\),.*/, ')'));
    expect(textOf(1, 528, 1024)).not.toContain('__builtin_prefetch');
    expect(textOf(1, 528, 64)).toContain('__builtin_prefetch');
  });

  it('ask for every line once, and for no vector without a lane', () => {
    const text = compile(graph([5003], chain), small, plugin.language).source?.text ?? '';
    expect(text.match(/__builtin_prefetch\(/g)).toHaveLength(1);
    const loadLimit = text.slice(text.indexOf('f32x8 load_limit_f32x8('));
    const none = loadLimit.indexOf('if (high <= max_index(low, 0)) return other;');
    expect(none).toBeGreaterThan(0);
    expect(none).toBeLessThan(loadLimit.indexOf('__builtin_ia32_maskloadps256('));
  });
});

describe('the second walk over a row', () => {
  const target = plugin.targets.find(({ id }) => id === 'native/avx2');
  const textOf = (...shape: number[]): string => {
    if (target === undefined) throw new Error('no such row');
    const facts = { ...target, cacheBytes: [2 ** 15, 2 ** 20] };
    const made = graph(shape, (x) => {
      const centred = core.subtract(x, core.mean(x, [-1], { keep: true }));
      return core.multiply(centred, core.sum(core.square(centred), [-1], { keep: true }));
    });
    return compile(made, facts, plugin.language).source?.text ?? '';
  };

  it('asks for the next row where rows come from memory and two of them fit the cache', () => {
    expect(textOf(1000, 1024)).toContain('+ 1024));');
    expect(textOf(1000, 1024)).toContain('__builtin_prefetch');
    expect(textOf(4, 1024)).not.toContain('__builtin_prefetch');
    expect(textOf(100, 2 ** 16)).not.toContain('__builtin_prefetch');
  });
});
