/** Overrides: a device's own operator takes a composite whole, and agrees with its body. */
import { compile, type HostTensor, load, type OpenDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { type TemplateOptions, templateDevice } from '@open-claw/device-template';
import { describe, expect, it } from 'vitest';
import { randomTensor } from './programs.js';

const floats = ({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array =>
  new Float32Array(buffer, byteOffset, byteLength / 4);

let calls = 0;

/** Softmax over the last axis of a matrix, by plain loops; it needs a row of workspace. */
const options: TemplateOptions = {
  overrides: [
    {
      composite: 'rowSoftmax',
      dtypes: ['f32'],
      accepts: ([shape]) => shape?.length === 2 && (shape[1] ?? 0) <= 64,
      workspaceBytes: ([shape]) => 4 * (shape?.[1] ?? 0),
    },
  ],
  operators: {
    rowSoftmax(buffers, sizes) {
      calls++;
      const [x, y, space] = buffers.map(floats) as [Float32Array, Float32Array, Float32Array];
      const [rows, columns] = sizes as [number, number];
      for (let i = 0; i < rows; i++) {
        const row = x.subarray(i * columns, (i + 1) * columns);
        const most = Math.max(...row);
        row.forEach((value, k) => {
          space[k] = Math.exp(value - most);
        });
        const sum = space.reduce((total, value) => total + value, 0);
        y.set(
          space.map((value) => value / sum),
          i * columns,
        );
      }
    },
  },
};

function softmaxGraph(rows: number, columns: number): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [rows, columns] });
  const scaled = core.multiply(x, 0.5);
  const [y] = core.composite('rowSoftmax', {}, [scaled], ([value]) => {
    const v = value as core.Node;
    const e = core.exp(core.subtract(v, core.reduce('maximum', v, [1], { keep: true })));
    return [core.divide(e, core.reduce('sum', e, [1], { keep: true }))];
  });
  return core.graphOf([x], [core.add(y as core.Node, 1)]);
}

async function open(): Promise<OpenDevice> {
  const plugin = templateDevice(options);
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) throw new Error('no pretend chip');
  const device = await plugin.open(found.id);
  return { id: found.id, plugin, found, target: found.target, evidence: 'stub', device };
}

async function run(graph: core.Graph, x: HostTensor, taken: boolean): Promise<readonly number[]> {
  const opened = await open();
  const { language, overrides = [] } = opened.plugin;
  const program = compile(graph, opened.target, language, taken ? { overrides } : {});
  const executable = await load(program, opened);
  const [y] = await executable.run([x]);
  await executable.dispose();
  return [...(y?.data ?? [])].map(Number);
}

describe('an override', () => {
  it('takes its composite whole, and taking it away changes no answer', async () => {
    const graph = softmaxGraph(7, 33);
    const x = randomTensor(1, [7, 33]);
    calls = 0;
    const [without, withIt] = [await run(graph, x, false), await run(graph, x, true)];
    expect(calls).toBe(1);
    const [exact] = core.interpret(graph, [x]);
    withIt.forEach((value, i) => {
      expect(Math.abs(value - Number(exact?.data[i]))).toBeLessThan(1e-6);
      expect(Math.abs(value - (without[i] as number))).toBeLessThan(1e-6);
    });
  });

  it('is not asked for sizes and types that it does not take', async () => {
    calls = 0;
    await run(softmaxGraph(3, 65), randomTensor(2, [3, 65]), true);
    expect(calls).toBe(0);
  });

  it('works inside of a loop', async () => {
    const x = core.input('x', { dtype: 'f32', shape: [4, 8] });
    const inner = softmaxGraph(4, 8);
    const [y] = core.loop({
      trip: 3,
      carried: [x],
      body: ([value]) => ({
        carried: core.inline(inner, [value as core.Node]).slice(0, 1),
      }),
    });
    const graph = core.graphOf([x], [y as core.Node]);
    const values = randomTensor(3, [4, 8]);
    calls = 0;
    const made = await run(graph, values, true);
    expect(calls).toBe(3);
    const [exact] = core.interpret(graph, [values]);
    made.forEach((value, i) => {
      expect(Math.abs(value - Number(exact?.data[i]))).toBeLessThan(1e-5);
    });
  });
});
