/** Trained classifiers against the results that came with them, on every device. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostTensor, valuesOf } from '@open-claw/core/internal';
import { readModel, readTensorFile, writeModel, writeNpy } from '@open-claw/formats';
import { closeDevices, loadModel } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { bytesOf, indexed, largest, missing, pathOf, textOf, unpacked } from './data.js';
import { devices, isAsked, isLight, timeout } from './devices.js';

afterAll(closeDevices);

const bin = fileURLToPath(new URL('../../packages/openclaw/bin/claw.js', import.meta.url));

/** Outputs that `claw run --json` prints. */
function outputsOf(...words: readonly string[]): Record<string, { data: number[] }> {
  const child = spawnSync(process.execPath, [bin, 'run', ...words, '--json'], { encoding: 'utf8' });
  expect(child.stderr).toBe('');
  expect(child.status).toBe(0);
  return JSON.parse(child.stdout).outputs;
}

const numbers = (text: string): readonly number[] =>
  text
    .trim()
    .split(/[\s,]+/)
    .map(Number);

const noMnist = missing('mnist-cnn-onnx') ?? missing('mnist');
describe.skipIf(noMnist !== undefined)(`mnist ${noMnist ?? ''}`, () => {
  const images = noMnist ? new Uint8Array() : unpacked('mnist', 't10k-images-idx3-ubyte.gz');
  const labels = noMnist ? new Uint8Array() : unpacked('mnist', 't10k-labels-idx1-ubyte.gz');
  const imagesFrom = (first: number, count: number): Float32Array =>
    Float32Array.from(images.subarray(16 + 784 * first, 16 + 784 * (first + count)));

  it.each(devices)(
    'agrees with its reference and reads digits on %s',
    { timeout },
    async (device) => {
      const model = await loadModel(pathOf('mnist-cnn-onnx', 'mnist.onnx'), { device });
      const x = Float32Array.from(numbers(textOf('mnist-cnn-onnx', 'input_mnist_28.csv')));
      const { Plus214_Output_0: y } = await model.run({ Input3: x });
      const reference = indexed('mnist-cnn-onnx', 'output_cpu.csv');
      const top = Math.max(...reference.map(Math.abs));
      valuesOf(y!).forEach((value, i) => {
        expect(Math.abs(Number(value) - (reference[i] as number))).toBeLessThan(1e-3 * top);
      });
      expect(largest(y!.data as Float32Array)).toBe(8);
      let right = 0;
      const count = isLight(device) ? 1000 : 100;
      for (let i = 0; i < count; i++) {
        const { Plus214_Output_0: each } = await model.run({ Input3: imagesFrom(i, 1) });
        if (largest(each!.data as Float32Array) === labels[8 + i]) right++;
      }
      expect(right).toBeGreaterThanOrEqual(0.98 * count);
      await model.dispose();
    },
  );

  it.each(devices)(
    'takes batches of 1 and 7 from one compilation on %s',
    { timeout },
    async (device) => {
      const proto = readModel(bytesOf('mnist-cnn-onnx', 'mnist.onnx'));
      // The exporter wrote the batch as 1, also as the constant of a Reshape: 0 copies the size.
      const open = (name: string) => (info: (typeof proto.graph.inputs)[number]) =>
        info.name === name && info.type?.kind === 'tensor'
          ? { ...info, type: { ...info.type, shape: ['N', ...(info.type.shape ?? []).slice(1)] } }
          : info;
      const { graph } = proto;
      const initializers = graph.initializers.map((each) =>
        each.dataType === 7 && each.int64Data?.[0] === 1n
          ? { ...each, int64Data: each.int64Data.map((size, i) => (i === 0 ? 0n : size)) }
          : each,
      );
      const inputs = graph.inputs.map(open('Input3'));
      const outputs = graph.outputs.map((info) => ({
        ...info,
        type: { kind: 'tensor', dataType: 1, shape: ['N', 10] } as const,
      }));
      const batched = writeModel({
        ...proto,
        graph: { ...graph, initializers, inputs, outputs, valueInfo: [] },
      });
      const model = await loadModel(batched, { device });
      const seven = await model.run({
        Input3: hostTensor('f32', [7, 1, 28, 28], [...imagesFrom(0, 7)]),
      });
      expect(seven['Plus214_Output_0']?.shape).toEqual([7, 10]);
      for (let i = 0; i < 7; i++) {
        const one = await model.run({
          Input3: hostTensor('f32', [1, 1, 28, 28], [...imagesFrom(i, 1)]),
        });
        const row = valuesOf(seven['Plus214_Output_0']!).slice(10 * i, 10 * i + 10);
        valuesOf(one['Plus214_Output_0']!).forEach((value, k) => {
          expect(Math.abs(Number(value) - Number(row[k]))).toBeLessThan(0.01);
        });
      }
      await model.dispose();
    },
  );

  it('runs a picture from the command line', () => {
    const picture = pathOf('mnist-cnn-onnx', 'input_mnist_28.png');
    const model = pathOf('mnist-cnn-onnx', 'mnist.onnx');
    const { Plus214_Output_0: y } = outputsOf(model, '--input', `Input3=${picture}`);
    expect(largest(y!.data)).toBe(8);
  });
});

const noSqueeze = missing('squeezenet-fp16-onnx');
describe.skipIf(noSqueeze !== undefined)(`squeezenet in f16 ${noSqueeze ?? ''}`, () => {
  it.each(devices)('agrees with its reference on %s', { timeout }, async (device) => {
    const model = await loadModel(pathOf('squeezenet-fp16-onnx', 'SqueezeNet_fp16.onnx'), {
      device,
    });
    const x = hostTensor(
      'f16',
      [1, 3, 224, 224],
      numbers(textOf('squeezenet-fp16-onnx', 'input_fish.csv')),
    );
    const { softmaxout_1: y } = await model.run({ data_0: x });
    const reference = indexed('squeezenet-fp16-onnx', 'output_fp16_fish_cpu.csv');
    const values = valuesOf(y!).map(Number);
    expect(values).toHaveLength(1000);
    expect(largest(values)).toBe(0);
    values.forEach((value, i) => {
      expect(Math.abs(value - (reference[i] as number))).toBeLessThanOrEqual(2e-3);
    });
    await model.dispose();
  });

  it('runs from the command line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'claw-fish-'));
    try {
      const file = join(folder, 'fish.npy');
      const x = numbers(textOf('squeezenet-fp16-onnx', 'input_fish.csv'));
      writeFileSync(file, writeNpy(hostTensor('f16', [1, 3, 224, 224], x)));
      const model = pathOf('squeezenet-fp16-onnx', 'SqueezeNet_fp16.onnx');
      const { softmaxout_1: y } = outputsOf(model, '--input', `data_0=${file}`);
      expect(y!.data.flat(3)).toHaveLength(1000);
      expect(largest(y!.data)).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

const noLight = missing('onnx-light');
const light = [
  'bvlc_alexnet',
  'densenet121',
  'inception_v1',
  'resnet50',
  'shufflenet',
  'squeezenet',
];
describe.skipIf(noLight !== undefined)(`whole architectures ${noLight ?? ''}`, () => {
  const x = Float32Array.from({ length: 150_528 }, (_, i) => i / 150_528);
  // Where one thread computes the two small ones are enough, unless a device is asked for.
  const cases = light.flatMap((name) =>
    devices
      .filter((device) => isAsked || device === 'native' || /squeeze|shuffle/.test(name))
      .map((device) => ({ name, device })),
  );
  it.each(cases)('$name agrees on $device', { timeout }, async ({ name, device }) => {
    const model = await loadModel(pathOf('onnx-light', `light_${name}.onnx`), { device });
    const outputs = await model.run({ [model.inputs[0]!.name]: x });
    const wanted = readTensorFile(bytesOf('onnx-light', `light_${name}_output_0.pb`));
    const expected = valuesOf(wanted).map(Number);
    const actual = valuesOf(Object.values(outputs)[0]!).map(Number);
    const isWrong = (value: number, i: number): boolean =>
      !(Math.abs(value - expected[i]!) <= 1e-7 + 1e-3 * Math.abs(expected[i]!));
    expect(actual).toHaveLength(expected.length);
    expect(actual.filter(isWrong)).toEqual([]);
    await model.dispose();
  });
});
