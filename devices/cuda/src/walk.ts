/**
 * A short walk through everything that a row's driver is asked for: probe, compile, open, memory,
 * one launch, read back, close. Traces record it and replays repeat it.
 */
import {
  type Binary,
  type DevicePlugin,
  expressions,
  isFailure,
  type Source,
  type Target,
  type TileProgram,
} from '@open-claw/core/device';

/** How a step of the walk ended: `done` and what it found, or an error's code and text. */
export interface WalkStep {
  readonly step: string;
  readonly outcome: string;
}

const lanes = 64;
const tasks = 5;
const length = 300;

export const tasksOfWalk = tasks;
export const lengthOfWalk = length;

/** The walk's kernel `walk0`(x, y; n): y = 4 · x. */
export const sourceOfWalk = (plugin: DevicePlugin, target: Target): Source =>
  plugin.language.emit([vectorKernel(target)], target);

/** y = a · x + x over a vector whose end no group fills. */
function vectorKernel(target: Target): TileProgram {
  const { minimum, multiply, subtract, variable } = expressions;
  const g = variable('g', tasks);
  const high = minimum(lanes, subtract(variable('n'), multiply(lanes, g)));
  const access = (buffer: string) => ({
    buffer,
    address: multiply(lanes, g),
    strides: [1],
    limits: [{ high }],
  });
  const vector = { dtype: 'f32', shape: [lanes] } as const;
  const scalar = { dtype: 'f32', shape: [] } as const;
  return {
    contract: 1,
    name: 'walk0',
    target: target.id,
    lanes: 1,
    group: lanes,
    buffers: [
      { name: 'x', memory: 'f32', access: 'read' },
      { name: 'y', memory: 'f32', access: 'write' },
    ],
    sizes: ['n'],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: 'g', extent: tasks }],
    body: [
      { kind: 'let', id: 0, type: vector, operation: { kind: 'load', access: access('x') } },
      { kind: 'let', id: 1, type: scalar, operation: { kind: 'literal', value: 3 } },
      { kind: 'let', id: 2, type: vector, operation: { kind: 'multiplyAdd', a: 0, b: 1, c: 0 } },
      { kind: 'store', access: access('y'), value: 2 },
    ],
    mayFail: false,
  };
}

/** Walks with the first card of a plug-in. Never rejects: what fails is in the steps. */
export async function walk(plugin: DevicePlugin): Promise<readonly WalkStep[]> {
  const steps: WalkStep[] = [];
  const step = async <T>(name: string, work: () => Promise<[T, string]>): Promise<T> => {
    try {
      const [result, found] = await work();
      steps.push({ step: name, outcome: `done ${found}`.trim() });
      return result;
    } catch (error) {
      const text = isFailure(error) ? `${error.code} ${error.what}` : String(error);
      steps.push({ step: name, outcome: text });
      throw error;
    }
  };
  try {
    const found = await step('probe', async () => {
      const entries = await plugin.probe();
      const cards = entries.flatMap((entry) => ('target' in entry ? [entry] : []));
      const reasons = entries.flatMap((entry) => ('reason' in entry ? [entry.reason] : []));
      const [first] = cards;
      if (first === undefined) throw new Error(reasons.join('; '));
      return [first, `${first.id} ${first.model} ${first.target.id}`];
    });
    const { target } = found;
    const source = sourceOfWalk(plugin, target);
    const binary = await step<Binary>('compile', async () => {
      const made = await plugin.compile(source, target);
      return [made, `${made.format} ${made.bytes.byteLength} bytes`];
    });
    await run(plugin, found.id, binary, step);
  } catch {
    // The last step says why.
  }
  return steps;
}

async function run(
  plugin: DevicePlugin,
  id: string,
  binary: Binary,
  step: <T>(name: string, work: () => Promise<[T, string]>) => Promise<T>,
): Promise<void> {
  const device = await step('open', async () => [await plugin.open(id), id]);
  try {
    const module = await step('load', async () => [await device.load(binary), '']);
    const bytes = 4 * length;
    const [x, y] = await step('allocate', async () => [
      [await device.allocate(bytes), await device.allocate(bytes)] as const,
      `2 × ${bytes} bytes`,
    ]);
    const values = Float32Array.from({ length }, (_, i) => i / 4);
    await step('write', async () => [await device.write(x, 0, new Uint8Array(values.buffer)), '']);
    await step('launch', async () => {
      device.submit([
        {
          kind: 'launch',
          module,
          entry: 'walk0',
          grid: [tasks],
          buffers: [
            { memory: x, offset: 0, bytes, access: 'read' },
            { memory: y, offset: 0, bytes, access: 'write' },
          ],
          sizes: [length],
          microseconds: 1,
        },
      ]);
      return [await device.sync(), ''];
    });
    await step('read', async () => {
      const result = new Float32Array(length);
      await device.read(y, 0, new Uint8Array(result.buffer));
      const wrong = result.findIndex((value, i) => value !== i);
      if (wrong >= 0) throw new Error(`element ${wrong} is ${result[wrong]}, not ${wrong}`);
      return [undefined, `${length} right values`];
    });
    await step('free', async () => {
      for (const handle of [x, y, module]) device.free(handle);
      return [await device.sync(), ''];
    });
  } finally {
    await step('close', async () => [await device.close(), '']);
  }
}
