/** What stubs watch over: warps, barriers, bounds, limits and parameters, with kernels by hand. */
import type { Entry, Source } from '@open-claw/core/device';
import { afterAll, describe, expect, it } from 'vitest';
import { type Argument, openCalls, outBytes, outHandle, outI32 } from './calls.js';
import { type GpuRow, gpuRows } from './index.js';
import { type Parameter, packParameters } from './launch.js';
import type { DriverPart } from './signatures.table.js';
import { stubCompiler } from './stub.js';
import {
  binaryFor,
  foundOn,
  rejectionOf,
  removeFolder,
  type Stub,
  stubOf,
} from './testing/faults.js';

const missing = stubCompiler() === undefined;
const rowOf = (name: string): GpuRow => gpuRows.find((row) => row.name === name) as GpuRow;

afterAll(removeFolder);

const lanes = 256;

interface Kernel {
  readonly body: string;
  readonly group?: number;
  readonly shared?: string;
}

/** Runs a kernel k(values, n) over 256 floats 0, 1, … and gives them back. */
async function runOn(stub: Stub, kernel: Kernel): Promise<readonly number[]> {
  const { body, group = lanes, shared = '' } = kernel;
  const [found] = await foundOn(stub.plugin);
  if (found === undefined) throw new Error('the stub has no card');
  const entry: Entry = {
    name: 'k',
    group: [group, 1, 1],
    sharedBytes: 0,
    scratchBytes: 0,
    buffers: [{ name: 'values', write: true }],
    sizes: ['n'],
    indexType: 'i32',
    axes: 1,
  };
  const head = `extern "C" __global__ void __launch_bounds__(${lanes}) k(float *values, int n)`;
  const source: Source = {
    language: found.target.language,
    target: found.target.id,
    text: `${head} {\n${shared}\nconst int lane = (int)threadIdx.x;\n${body}\n}\n`,
    entries: [entry],
  };
  const device = await stub.plugin.open(found.id);
  try {
    const module = await device.load(await stub.plugin.compile(source, found.target));
    const memory = await device.allocate(4 * lanes);
    const values = Float32Array.from({ length: lanes }, (_, i) => i);
    const bytes = new Uint8Array(values.buffer);
    await device.write(memory, 0, bytes);
    const buffer = { memory, offset: 0, bytes: 4 * lanes, access: 'readWrite' } as const;
    device.submit([
      {
        kind: 'launch',
        module,
        entry: 'k',
        grid: [1],
        buffers: [buffer],
        sizes: [lanes],
        microseconds: 1,
      },
    ]);
    await device.read(memory, 0, bytes);
    return [...values];
  } finally {
    await device.close();
  }
}

describe.skipIf(missing)('stubs', () => {
  it.each([
    ['cuda', 32],
    ['maca', 64],
    ['musa', 128],
  ])('of %s exchange values between %i threads that run in step', async (name, warp) => {
    const body = `float sum = values[lane];
      for (int k = warpSize / 2; k > 0; k /= 2) sum += __shfl_xor_sync(0xffffffff, sum, k);
      values[lane] = sum;`;
    const sums = await runOn(stubOf(rowOf(name)), { body });
    const sumOf = (first: number): number => (warp * (2 * first + warp - 1)) / 2;
    expect(sums).toEqual(
      Array.from({ length: lanes }, (_, i) => sumOf(Math.floor(i / warp) * warp)),
    );
  });

  const stub = missing ? undefined : stubOf(rowOf('cuda'));
  const on = (kernel: Kernel): Promise<readonly number[]> => runOn(stub as Stub, kernel);
  const shared = '__shared__ float tile[256];';

  it('wait at barriers', async () => {
    const body = 'tile[lane] = values[lane]; __syncthreads(); values[lane] = tile[n - 1 - lane];';
    expect(await on({ body, shared })).toEqual(
      Array.from({ length: lanes }, (_, i) => lanes - 1 - i),
    );
  });

  it('show a missing barrier', async () => {
    const body = 'tile[lane] = values[lane]; values[lane] = tile[n - 1 - lane];';
    const values = await on({ body, shared });
    expect(values).not.toEqual(Array.from({ length: lanes }, (_, i) => lanes - 1 - i));
  });

  it.each([
    [
      'a barrier that some threads do not reach',
      'if (lane < 7) __syncthreads();',
      'launch failure',
    ],
    ['a write behind the end', 'values[n + lane] = 1.0f;', 'illegal memory access'],
    ['a write before the start', 'values[-1] = 1.0f;', 'illegal memory access'],
  ])('find %s', async (_, body, text) => {
    const error = await rejectionOf(on({ body }));
    expect(error).toMatchObject({ code: 'OC-DEVICE-02', retry: 'reopen' });
    expect(error.what).toContain(text);
  });

  it('check how parameters are packed', async () => {
    const { plugin, places } = stub as Stub;
    const row = rowOf('cuda');
    const folders = { system: false, folders: places.libraries };
    const calls = openCalls(row.libraries, [], row.symbols, folders);
    if (typeof calls === 'string') throw new Error(calls);
    const { bytes } = await binaryFor(plugin);
    const image = outBytes(bytes.byteLength);
    image.set(bytes);
    const [device, made] = [outI32(), outHandle()];
    const handleOf = (part: DriverPart, ...rest: readonly Argument[]): bigint => {
      expect(calls.call(part, made, ...rest)).toBe(0);
      return made[0] as bigint;
    };
    expect(calls.call('initialize', 0)).toBe(0);
    expect(calls.call('deviceOf', device, 0)).toBe(0);
    const ordinal = device[0] as number;
    expect(calls.call('contextSet', handleOf('contextRetain', ordinal))).toBe(0);
    const kernel = handleOf('moduleFunction', handleOf('moduleLoad', image), 'walk0');
    const [x, y] = [handleOf('allocate', 1200), handleOf('allocate', 1200)];
    const launch = (parameters: readonly Parameter[]): number => {
      const packed = packParameters(parameters, (array) => calls.addressOf(array));
      return calls.call('launch', kernel, 5, 1, 1, 64, 1, 1, 0, queue, packed, null);
    };
    const queue = handleOf('streamCreate', 0);
    const address = (value: bigint) => ({ kind: 'address', value }) as const;
    const right = [address(x), address(y), { kind: 'i32', value: 300 } as const];
    expect(launch(right)).toBe(0);
    expect(launch(right.slice(0, 2))).toBe(1);
    expect(launch([...right, { kind: 'i32', value: 0 }])).toBe(1);
    expect(launch([address(x), address(y + 4096n), ...right.slice(2)])).toBe(1);
    expect(calls.call('streamWait', queue)).toBe(0);
    for (const memory of [x, y]) expect(calls.call('release', memory)).toBe(0);
    expect(calls.call('streamDestroy', queue)).toBe(0);
    expect(calls.call('contextRelease', ordinal)).toBe(0);
    expect(calls.call('release', x)).not.toBe(0);
  });

  it.each([
    ['more threads than the kernel was made for', { body: '', group: 512 }, 'invalid argument'],
    ['more threads than the chip has', { body: '', group: 2048 }, 'invalid argument'],
    [
      'more shared memory than the chip has',
      { body: '', shared: '__shared__ double tile[8192];' },
      'too many resources',
    ],
  ])('refuse %s', async (_, kernel, text) => {
    const error = await rejectionOf(on(kernel));
    expect(error).toMatchObject({ code: 'OC-DEVICE-02', retry: 'never' });
    expect(error.what).toContain(text);
  });
});
