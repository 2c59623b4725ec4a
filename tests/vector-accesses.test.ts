/** Elements that threads move several at once, on a stub: where alignment is proven, only there. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, compile, type DType, load, openDevice, use } from '@open-claw/core';
import {
  add,
  cast,
  type Graph,
  graphOf,
  hostTensor,
  input,
  interpret,
  multiply,
  type Node,
  relu,
  sizeSymbol,
} from '@open-claw/core/internal';
import { cudaDevice, type GpuRow, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'claw-vectors-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');

afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

/** relu(a · x + b) in f32, of inputs of a type. */
function graphFor(dtype: DType, shape: readonly (number | Node['shape'][number])[]): Graph {
  const [a, x, b] = ['a', 'x', 'b'].map((name) => input(name, { dtype, shape }));
  const [p, q, r] = [a, x, b].map((node) => cast(node as Node, 'f32')) as [Node, Node, Node];
  return graphOf([a, x, b] as Node[], [relu(add(multiply(p, q), r))]);
}

describe.skipIf(missing)('vector accesses on a stub', () => {
  const id = 'cuda/cuda:0';
  beforeAll(() => {
    const row = gpuRows.find(({ name }) => name === 'cuda') as GpuRow;
    const places = buildStub(row, join(folder, 'stub'));
    use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
  });

  const textOf = async (graph: Graph): Promise<string> => {
    const { target, plugin } = await openDevice(id);
    return compile(graph, target, plugin.language).source?.text ?? '';
  };

  it.each([
    ['f32', 8192, 'vector_f32_4'],
    ['bf16', 8192, 'vector_u32_2'],
    ['i8', 8192, 'vector_u32_1'],
    ['f32', 8196, 'vector_f32_4'],
    ['f32', 8193, ''],
  ] as const)('moves %s, %i elements, as %s', async (dtype, count, struct) => {
    const graph = graphFor(dtype, [count]);
    const text = await textOf(graph);
    expect(text.includes('vector_')).toBe(struct !== '');
    expect(text).toContain(struct);
    const opened = await openDevice(id);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const inputs = graph.inputs.map((_, at) =>
      hostTensor(
        dtype,
        [count],
        Array.from({ length: count }, (_, i) => ((i * 37 + at * 11) % 15) - 7),
      ),
    );
    const [actual] = await executable.run(inputs);
    await executable.dispose();
    expect(actual?.data).toEqual(interpret(graph, inputs)[0]?.data);
  });

  it('proves nothing about sizes that are not known', async () => {
    expect(await textOf(graphFor('f32', [sizeSymbol()]))).not.toContain('vector_');
  });
});
