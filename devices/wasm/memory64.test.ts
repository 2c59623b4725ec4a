/**
 * The rows with addresses of 64 bits: memory that lies above 4 GiB (the space is reserved, only a
 * little of it is touched), on the calling thread and on workers. Node.js 20 has them behind a
 * flag, which is set here.
 */
import { setFlagsFromString } from 'node:v8';
import { deviceExam } from '@open-claw/conformance';
import { compile, type HostTensor, hostTensor, isFailure, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { wasmDevice, wideRelaxedTarget, wideTarget } from './src/index.js';
import { widthOfEngine } from './src/wide.js';

setFlagsFromString('--experimental-wasm-memory64');
setFlagsFromString('--experimental-wasm-relaxed-simd');

const gibibyte = 2 ** 30;
const isThere = widthOfEngine() !== 'none';
if (!isThere) {
  const lack = 'this engine makes no WebAssembly memory with 64-bit addresses beyond 4 GiB';
  console.warn(`skipped: ${lack}`);
}

let state = 5;
const below = (limit: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};
const whole = (dtype: core.DType, shape: readonly number[], low = -4, count = 9) =>
  hostTensor(
    dtype,
    shape,
    Array.from({ length: core.elementCount(shape) }, () => low + below(count)),
  );

interface Case {
  readonly graph: core.Graph;
  readonly inputs: readonly HostTensor[];
}

function caseOf(inputs: readonly HostTensor[], build: (...x: core.Node[]) => core.Node): Case {
  const nodes = inputs.map(({ dtype, shape }, i) => core.input(`x${i}`, { dtype, shape }));
  return { graph: core.graphOf(nodes, [build(...nodes)]), inputs };
}

/** Whole numbers, so that every answer is exact. */
const cases: Readonly<Record<string, () => Case>> = {
  'a product of matrices': () =>
    caseOf([whole('f32', [70, 65]), whole('f32', [65, 90])], (a, b) => core.matmul(a!, b!)),
  'a product of small integers': () =>
    caseOf([whole('u8', [40, 70], 0, 256), whole('i8', [70, 50], -128, 256)], (a, b) =>
      core.matmul(core.cast(a!, 'i32'), core.cast(b!, 'i32')),
    ),
  'a chain with a reduction': () =>
    caseOf([whole('f32', [37, 53])], (x) =>
      core.subtract(x!, core.reduce('maximum', core.multiply(x!, 2), [1], { keep: true })),
    ),
  'shares of more than the caches hold': () =>
    caseOf([whole('f32', [700, 128], 3, 1)], (x) => core.softmax(x!)),
  'rows by their indices': () =>
    caseOf([whole('f32', [50, 7]), whole('i32', [20], 0, 50)], (x, at) => core.gather(x!, at!, 0)),
  'a sum along an axis': () =>
    caseOf([whole('f32', [300, 40])], (x) => core.cumulate('sum', x!, 0)),
  'a permuted copy of doubles': () =>
    caseOf([whole('f64', [9, 10, 11])], (x) => core.permute(x!, [2, 0, 1])),
};

/** Runs behind a block that reaches beyond 4 GiB, so that all of the program lies above. */
async function runAbove({ graph, inputs }: Case, row: string, threads: number) {
  const plugin = wasmDevice({ target: row, threads, memoryBytes: 5 * gibibyte });
  const [found] = await plugin.probe();
  if (found === undefined || !('target' in found)) return undefined;
  const { target } = found;
  const device = await plugin.open(row);
  await device.allocate(4 * gibibyte + 64);
  const program = compile(graph, target, plugin.language);
  const executable = await load(program, { id: row, device, plugin, target } as never);
  const outputs = await executable.run(inputs);
  await executable.dispose();
  await device.close();
  return outputs;
}

describe.skipIf(!isThere)('above 4 GiB', () => {
  it.each(Object.keys(cases))('%s is what the interpreter says', async (name) => {
    const given = (cases[name] as () => Case)();
    const [expected] = core.interpret(given.graph, given.inputs);
    for (const [row, threads] of [
      [wideTarget.id, 1],
      [wideTarget.id, 2],
      [wideRelaxedTarget.id, 1],
    ] as const) {
      const outputs = await runAbove(given, row, threads);
      if (outputs === undefined) console.warn(`skipped: this engine does not run ${row}`);
      else expect(outputs[0]?.data, `${row}, ${threads} threads`).toEqual(expected?.data);
    }
  });

  it('workers take tasks of a large kernel', async () => {
    const given = caseOf([whole('f32', [256, 200]), whole('f32', [200, 256])], (a, b) =>
      core.matmul(a!, b!),
    );
    const [expected] = core.interpret(given.graph, given.inputs);
    const [actual] = (await runAbove(given, wideTarget.id, 2)) ?? [];
    expect(actual?.data).toEqual(expected?.data);
  });

  it('one value may be larger than 4 GiB', async () => {
    const plugin = wasmDevice({ target: wideTarget.id, threads: 1, memoryBytes: 6 * gibibyte });
    const device = await plugin.open(wideTarget.id);
    const memory = await device.allocate(5 * gibibyte);
    await device.write(memory, 5 * gibibyte - 8, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const copy = { memory, offset: 5 * gibibyte - 8, bytes: 8, access: 'read' } as const;
    const to = { memory, offset: 4 * gibibyte - 4, bytes: 8, access: 'write' } as const;
    device.submit([{ kind: 'copy', from: copy, to }]);
    const into = new Uint8Array(8);
    await device.read(memory, 4 * gibibyte - 2, into);
    expect([...into]).toEqual([3, 4, 5, 6, 7, 8, 0, 0]);
    await device.close();
  });
});

describe.skipIf(!isThere)('the row', () => {
  it('is taken only by its name', async () => {
    const [found] = await wasmDevice().probe();
    expect(found).not.toHaveProperty('target.addressBits');
    const [wide] = await wasmDevice({ target: wideTarget.id }).probe();
    expect(wide).toMatchObject({ target: { id: wideTarget.id, addressBits: 64 } });
    expect((wide as { target: core.Target }).target.memoryBytes).toBeGreaterThan(4 * gibibyte);
  });

  it('refuses binaries of rows with other addresses', async () => {
    const plugin = wasmDevice({ memoryBytes: 2 ** 20 });
    const device = await plugin.open(wideTarget.id);
    const binary = { format: 'wasm', target: 'wasm/simd128', toolchain: 'wasm-1', entries: [] };
    const bytes = new Uint8Array();
    const error: unknown = await device.load({ ...binary, bytes }).catch((e: unknown) => e);
    expect(isFailure(error) && error.code).toBe('OC-REFUSED-01');
  });
});

describe.skipIf(!isThere)('the exam', () => {
  const plugin = wasmDevice({ target: wideTarget.id, memoryBytes: gibibyte });
  for (const { name, run } of deviceExam(plugin)) {
    it(name, async () => {
      await run();
    });
  }
});
