/** A classifier of files and a detector of speech: references, and a rebuild from the weights. */
import { concat, fromHost, type HostTensor, jit, type Tensor, tensor } from '@open-claw/core';
import { readModel, readSafetensors, readTensor } from '@open-claw/formats';
import { closeDevices, loadModel, type Model } from '@open-claw/openclaw';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesOf, largest, missing, pathOf, textOf, unpacked } from './data.js';
import { devices, isLight, timeout } from './devices.js';

afterAll(closeDevices);

const noMagika = missing('magika-v3_3');
describe.skipIf(noMagika !== undefined)(`magika ${noMagika ?? ''}`, () => {
  interface Example {
    readonly content_base64: string;
    readonly prediction: { readonly dl: string; readonly score: number };
  }

  const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

  /** 1024 bytes from the start and the end of the content, without the white space around it. */
  function featuresOf(content: Uint8Array): Int32Array {
    const features = new Int32Array(2048).fill(256);
    const [head, tail] = [content.subarray(0, 4096), content.subarray(-4096)];
    let from = 0;
    while (from < head.length && isSpace(head[from] as number)) from++;
    let to = tail.length;
    while (to > 0 && isSpace(tail[to - 1] as number)) to--;
    features.set(head.subarray(from, from + 1024), 0);
    const end = tail.subarray(Math.max(0, to - 1024), to);
    features.set(end, 2048 - end.length);
    return features;
  }

  it.each(devices)(
    'gives its label and score for every reference on %s',
    { timeout },
    async (device) => {
      const texts = new TextDecoder();
      const examples: readonly Example[] = JSON.parse(
        texts.decode(
          unpacked('magika-v3_3', 'standard_v3_3-inference_examples_by_content.json.gz'),
        ),
      );
      const { target_labels_space: labels } = JSON.parse(textOf('magika-v3_3', 'config.min.json'));
      const model = await loadModel(pathOf('magika-v3_3', 'model.onnx'), { device });
      const given = examples.map(({ content_base64, prediction }) => {
        return { prediction, bytes: featuresOf(Buffer.from(content_base64, 'base64')) };
      });
      // Too little content is not shown to the network.
      const [few, asked] = [true, false].map((isFew) =>
        given.filter(({ bytes }) => (bytes[7] === 256) === isFew),
      ) as [typeof given, typeof given];
      for (const { prediction } of few) expect(prediction.dl).toBe('undefined');
      const agrees = (scores: Float32Array, { prediction }: (typeof given)[number]): void => {
        const best = largest(scores);
        expect(labels[best]).toBe(prediction.dl);
        expect(Math.abs((scores[best] as number) - prediction.score)).toBeLessThan(1e-3);
      };
      for (const each of asked.slice(0, 3)) {
        const { target_label: y } = await model.run({ bytes: each.bytes });
        agrees(y!.data as Float32Array, each);
      }
      // All at once; every tenth where one thread stands in for a chip.
      const shown = isLight(device) ? asked : asked.filter((_, i) => i % 10 === 0);
      const data = new Int32Array(shown.length * 2048);
      shown.forEach(({ bytes }, i) => void data.set(bytes, i * 2048));
      const all = { dtype: 'i32', shape: [shown.length, 2048], data } as const;
      const { target_label: y } = await model.run({ bytes: all });
      const scores = y!.data as Float32Array;
      shown.forEach((each, i) => void agrees(scores.subarray(214 * i, 214 * (i + 1)), each));
      expect(examples).toHaveLength(141);
      expect(asked).toHaveLength(129);
      await model.dispose();
    },
  );
});

const noSilero = missing('silero-vad');
describe.skipIf(noSilero !== undefined)(`silero ${noSilero ?? ''}`, () => {
  const rate = { dtype: 'i64', shape: [], data: BigInt64Array.of(16000n) } as const;

  /** Frames of 512 samples with the 64 before each. */
  function framesOf(bytes: Uint8Array, count: number): Float32Array[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const first = 44;
    const at = (i: number): number => (i < 0 ? 0 : view.getInt16(first + 2 * i, true) / 32768);
    const frames = Math.min(count, Math.floor((bytes.length - first) / 1024));
    return Array.from({ length: frames }, (_, f) =>
      Float32Array.from({ length: 576 }, (_, i) => at(512 * f + i - 64)),
    );
  }

  async function stream(model: Model, frames: readonly Float32Array[]): Promise<number[]> {
    let state: HostTensor = { dtype: 'f32', shape: [2, 1, 128], data: new Float32Array(256) };
    const said: number[] = [];
    for (const data of frames) {
      const input = { dtype: 'f32', shape: [1, 576], data } as const;
      const { output, stateN } = await model.run({ input, state, sr: rate });
      said.push(Number(output!.data[0]));
      state = { ...state, data: stateN!.data };
    }
    return said;
  }

  /** The network from its weights alone: transform, four convolutions, a cell, one number. */
  function rebuild(weights: ReadonlyMap<string, Tensor>) {
    const w = (name: string): Tensor => weights.get(name) as Tensor;
    const layer = (x: Tensor, name: string, stride: number): Tensor =>
      x.convolve(w(`${name}.weight`), { bias: w(`${name}.bias`), stride, padding: 1 }).relu();
    return (input: Tensor, h: Tensor, c: Tensor): [Tensor, Tensor, Tensor] => {
      // Reflected: the 64 samples before the last one, backwards.
      const mirrored = input.slice([null, null], [511, 575]).flip(1);
      const padded = concat([input, mirrored], 1).unsqueeze(1);
      const parts = padded.convolve(w('stft_conv.weight'), { stride: 128 });
      const [re, im] = parts.split(2, 1) as [Tensor, Tensor];
      const magnitude = re.mul(re).add(im.mul(im)).sqrt();
      let x = layer(magnitude, 'conv1', 1);
      x = layer(x, 'conv2', 2);
      x = layer(x, 'conv3', 2);
      x = layer(x, 'conv4', 1);
      const gates = x
        .squeeze(2)
        .matmul(w('lstm_cell.weight_ih').transpose())
        .add(w('lstm_cell.bias_ih'))
        .add(h.matmul(w('lstm_cell.weight_hh').transpose()))
        .add(w('lstm_cell.bias_hh'));
      const [i, f, g, o] = gates.split(4, 1) as [Tensor, Tensor, Tensor, Tensor];
      const cell = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
      const hidden = o.sigmoid().mul(cell.tanh());
      const one = hidden
        .relu()
        .unsqueeze(2)
        .convolve(w('final_conv.weight'), {
          bias: w('final_conv.bias'),
        });
      return [one.sigmoid().mean(), hidden, cell];
    };
  }

  /** The weights inside the model file, under the names of the other file. */
  function weightsOf(
    bytes: Uint8Array,
    like: ReadonlyMap<string, HostTensor>,
  ): Map<string, HostTensor> {
    const choice = readModel(bytes).graph.nodes.find(({ opType }) => opType === 'If');
    const branch = choice?.attributes.find(({ name }) => name === 'then_branch');
    const nodes = branch?.kind === 'graph' ? branch.value.nodes : [];
    const constants = nodes.flatMap(({ opType, outputs: [name = ''], attributes: [value] }) =>
      opType === 'Constant' && value?.kind === 'tensor' ? [{ name, tensor: value.value }] : [],
    );
    const endings: readonly [string, string][] = [
      ['stft_conv.weight', 'forward_basis_buffer'],
      ...[1, 2, 3, 4].flatMap((i): [string, string][] => [
        [`conv${i}.weight`, `encoder.${i - 1}.reparam_conv.weight`],
        [`conv${i}.bias`, `encoder.${i - 1}.reparam_conv.bias`],
      ]),
      ...['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((part): [string, string] => [
        `lstm_cell.${part}`,
        `decoder.rnn.${part}`,
      ]),
      ['final_conv.weight', 'decoder.2.weight'],
      ['final_conv.bias', 'decoder.2.bias'],
    ];
    return new Map(
      endings.map(([name, ending]) => {
        const found = constants.find((each) => each.name.endsWith(ending));
        if (found === undefined) throw new Error(`no ${ending}`);
        return [name, { ...readTensor(found.tensor), shape: like.get(name)?.shape ?? [] }];
      }),
    );
  }

  const wave = noSilero ? new Uint8Array() : bytesOf('silero-vad', 'test.wav');
  const path = pathOf('silero-vad', 'silero_vad.onnx');
  const frames = noSilero ? [] : framesOf(wave, 10_000);
  let said: readonly number[] = [];
  const hear = async (device: string, count: number): Promise<readonly number[]> => {
    const model = await loadModel(path, { device });
    const heard = await stream(model, frames.slice(0, count));
    await model.dispose();
    return heard;
  };
  const worst = (other: readonly number[]): number =>
    Math.max(...other.map((p, i) => Math.abs(p - (said[i] as number))));

  beforeAll(async () => {
    said = await hear('native', frames.length);
  }, timeout);

  it('is given speech and silence', () => {
    expect(frames.length).toBeGreaterThan(1870);
    expect(said.filter((p) => p > 0.9).length).toBeGreaterThan(100);
    expect(said.filter((p) => p < 0.1).length).toBeGreaterThan(50);
  });

  const others = devices.filter((device) => device !== 'native');
  it.each(others)('hears the same on %s', { timeout }, async (device) => {
    const heard = await hear(device, device === 'wasm' ? frames.length : 200);
    expect(worst(heard)).toBeLessThan(2e-3);
  });

  it('hears the same by the interpreter and rebuilt', { timeout: 120_000 }, async () => {
    expect(worst(await hear('interpreter', 6))).toBeLessThan(1e-4);

    const follow = async (weights: Iterable<readonly [string, HostTensor]>): Promise<number[]> => {
      const step = jit(
        rebuild(new Map([...weights].map(([name, host]) => [name, fromHost(host)]))),
      );
      let [h, c] = [0, 1].map(() => tensor([new Array<number>(128).fill(0)])) as [Tensor, Tensor];
      const heard: number[] = [];
      for (const data of frames.slice(0, 200)) {
        const [p, nextH, nextC] = await step(
          fromHost({ dtype: 'f32', shape: [1, 576], data }),
          h,
          c,
        );
        [h, c] = [nextH, nextC];
        heard.push(Number(await p.item()));
      }
      return heard;
    };
    const { tensors } = readSafetensors(bytesOf('silero-vad', 'silero_vad_16k.safetensors'));
    expect(
      worst(await follow(weightsOf(bytesOf('silero-vad', 'silero_vad.onnx'), tensors))),
    ).toBeLessThan(2e-3);
    // The other file holds the same network of another training: other numbers, same decisions.
    const heard = await follow(tensors);
    const same = heard.filter((p, i) => p > 0.5 === (said[i] as number) > 0.5).length;
    expect(same).toBeGreaterThanOrEqual(190);
  });
});
