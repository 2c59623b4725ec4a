/**
 * Both rows of the WebGPU device against the interpreter: small, random and integer programs.
 * CLAW_FUZZ=COUNT@SEED says how many random ones per row (30 where absent).
 */
import {
  closeDevices,
  compile,
  type DevicePlugin,
  type HostTensor,
  load,
  openDevice,
  use,
} from '@open-claw/core';
import {
  acosh,
  asinh,
  atanh,
  cast,
  graphOf,
  hostTensor,
  input,
  interpret,
  valuesOf,
} from '@open-claw/core/internal';
import { softwareTarget, threadsTarget, webgpuDevice } from '@open-claw/device-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuzz } from '../fuzz.js';
import { smallPrograms } from '../programs.js';

const [found] = await webgpuDevice().probe();
const missing = found === undefined || 'reason' in found ? (found?.reason ?? 'nothing') : undefined;
const note = missing === undefined ? '' : ` (skipped: ${missing.slice(0, 100)})`;
const rows = [softwareTarget.id, threadsTarget.id];
const [count = 30, first = 500] = (process.env['CLAW_FUZZ'] ?? '30').split('@').map(Number);

afterAll(closeDevices);

async function runOn(
  plugin: DevicePlugin,
  graph: Parameters<typeof compile>[0],
  inputs: readonly HostTensor[],
): Promise<readonly HostTensor[]> {
  use(plugin);
  const opened = await openDevice('webgpu:0');
  const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}

describe.skipIf(missing !== undefined).each(rows)(`row %s${note}`, (target) => {
  const plugin = webgpuDevice({ target });
  // The id is the same for both rows.
  beforeAll(async () => {
    await closeDevices();
    use(plugin);
  });
  const isClose = (actual: HostTensor, expected: HostTensor): void => {
    expect(actual.shape).toEqual(expected.shape);
    const [a, b] = [valuesOf(actual), valuesOf(expected)];
    const narrow = expected.dtype === 'bf16' || expected.dtype === 'f16';
    b.forEach((value, i) => {
      const error = Math.abs(Number(a[i]) - Number(value));
      const isSame = Object.is(Number(a[i]), Number(value));
      if (!isSame)
        expect(error).toBeLessThan((narrow ? 1e-2 : 5e-5) * (1 + Math.abs(Number(value))));
    });
  };

  it('is opened', async () => {
    const { target: facts, evidence } = await openDevice('webgpu:0');
    expect(facts.id).toBe(target);
    expect(evidence).toBe(
      found !== undefined && 'marks' in found && found.marks.length > 0 ? 'emulator' : 'hardware',
    );
  });

  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const expected = interpret(graph, inputs);
    (await runOn(plugin, graph, inputs)).forEach((output, i) => {
      isClose(output, expected[i] as HostTensor);
    });
  });

  it(
    'runs random programs',
    async () => {
      const run = (...given: [Parameters<typeof compile>[0], readonly HostTensor[]]) =>
        runOn(plugin, ...given);
      const report = await fuzz({ run, count, first, shrinkSteps: 0, mostFailures: 20 });
      expect(report.failures.map((failure) => failure.text).join('\n\n')).toBe('');
      expect(report.passed).toBeGreaterThan(count / 2);
    },
    300_000 + count * 2000,
  );

  it.each(['asinh', 'atanh', 'acosh'] as const)('keeps the digits of small %s', async (name) => {
    const values = Array.from({ length: 64 }, (_, i) => Math.fround(0.0005 * (i + 1)));
    const x = hostTensor('f32', [64], name === 'acosh' ? values.map((each) => 1 + each) : values);
    const given = input('x', { dtype: 'f32', shape: [64] });
    const graph = graphOf([given], [{ asinh, atanh, acosh }[name](given)]);
    const [expected] = interpret(graph, [x]).map(valuesOf);
    const [actual] = (await runOn(plugin, graph, [x])).map(valuesOf);
    expected?.forEach((value, i) => {
      expect(Math.abs(Number(actual?.[i]) / Number(value) - 1)).toBeLessThan(1e-6);
    });
  });

  it('compiles an index that no thread reaches', async () => {
    const report = await fuzz({
      run: (...given) => runOn(plugin, ...given),
      count: 1,
      first: 30166,
      shrinkSteps: 0,
    });
    expect(report.failures.map((failure) => failure.text)).toEqual([]);
  });

  it('converts 64-bit integers as the interpreter does', async () => {
    const edges = [0n, 1n, 127n, 2048n, 2049n, 65519n, 65520n, 16777217n, 2n ** 31n, 2n ** 32n];
    const more = [
      2n ** 33n + 1n,
      2n ** 53n + 1n,
      2n ** 62n + 2n ** 38n,
      2n ** 62n + 2n ** 38n + 1n,
    ];
    const values = [...edges, ...more, 2n ** 63n - 1n].flatMap((x) => [x, -x, x + 3n, -x - 1n]);
    const wrapped = values.map((x) => BigInt.asIntN(64, x));
    const tensors = [
      hostTensor('i64', [wrapped.length], wrapped),
      hostTensor(
        'u64',
        [wrapped.length],
        wrapped.map((x) => BigInt.asUintN(64, x)),
      ),
      hostTensor(
        'i32',
        [wrapped.length],
        wrapped.map((x) => Number(BigInt.asIntN(32, x))),
      ),
    ];
    const inputs = tensors.map(({ dtype, shape }, i) => input(`x${i}`, { dtype, shape }));
    const wanted = ['f32', 'f16', 'bf16', 'i32', 'u8', 'u64', 'i64', 'bool'] as const;
    const graph = graphOf(
      inputs,
      inputs.flatMap((x) => wanted.map((dtype) => cast(x, dtype))),
    );
    const expected = interpret(graph, tensors).map(valuesOf);
    expect((await runOn(plugin, graph, tensors)).map(valuesOf)).toEqual(expected);
  });
});
