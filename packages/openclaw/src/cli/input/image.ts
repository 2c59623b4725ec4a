/** Images as inputs of models: decoded, resized to the input's size, laid out as it asks. */
import { type HostTensor, hostTensor } from '@open-claw/core/face';
import { isFloat } from '@open-claw/core/internal';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import type { ModelPort } from '../../model/ports.js';
import { inputFailure } from './failure.js';

/** Pixels of red, green, blue and opacity, 0 to 255. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

const mostPixels = 2 ** 28;

/**
 * An image for an input [N, C, H, W] or [N, H, W, C], the first axis optional. Sizes that the
 * model leaves open are the image's own. `query` may hold scale, mean and std, one number or one
 * per channel: (value · scale − mean) / std, with value from 0 to 255.
 */
export function readImage(
  bytes: Uint8Array,
  name: string,
  port: ModelPort,
  query: URLSearchParams,
): HostTensor {
  const { dtype = 'f32' } = port;
  if (!isFloat(dtype) && dtype !== 'u8') throw inputFailure(name, `an image is no ${dtype}`);
  const image = decode(bytes, name);
  const layout = layoutOf(port, image, name);
  const { channels, height, width, first } = layout;
  const scale = factors(query, 'scale', 1, channels, name);
  const mean = factors(query, 'mean', 0, channels, name);
  const deviation = factors(query, 'std', 1, channels, name);
  const values = new Float64Array(channels * height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const pixel = sample(image, (x + 0.5) / width, (y + 0.5) / height);
      const gray = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
      for (let c = 0; c < channels; c++) {
        const value = channels === 1 ? gray : (pixel[c] as number);
        const scaled =
          (value * (scale[c] as number) - (mean[c] as number)) / (deviation[c] as number);
        const at = first ? (c * height + y) * width + x : (y * width + x) * channels + c;
        values[at] = dtype === 'u8' ? Math.min(Math.max(Math.round(scaled), 0), 255) : scaled;
      }
    }
  }
  return hostTensor(dtype, layout.shape, values);
}

function decode(bytes: Uint8Array, name: string): Pixels {
  try {
    if (bytes[0] === 0x89) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (bytes.length >= 24 && view.getUint32(16) * view.getUint32(20) > mostPixels) {
        throw new Error('the image is too large');
      }
      const { width, height, data } = PNG.sync.read(Buffer.from(bytes));
      return { width, height, data };
    }
    return jpeg.decode(bytes, { useTArray: true, formatAsRGBA: true, maxResolutionInMP: 256 });
  } catch (error) {
    throw inputFailure(name, error instanceof Error ? error.message : String(error));
  }
}

interface Layout {
  readonly shape: readonly number[];
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Whether channels come before rows and columns. */
  readonly first: boolean;
}

function layoutOf(
  { shape = [null, 3, null, null] }: ModelPort,
  image: Pixels,
  name: string,
): Layout {
  const outer = shape.length - 3;
  const [a, b, c] = shape.slice(-3);
  const isChannels = (size: unknown): size is 1 | 3 | 4 => size === 1 || size === 3 || size === 4;
  const batch = outer === 1 ? (shape[0] ?? 1) : 1;
  const fits = (outer === 0 || outer === 1) && (typeof batch !== 'number' || batch === 1);
  const first = isChannels(a);
  if (!fits || (!first && !isChannels(c))) {
    const wanted = shape.map((size) => size ?? '?').join(', ');
    throw inputFailure(name, `the input [${wanted}] is no image of 1, 3 or 4 channels`);
  }
  const size = (given: unknown, own: number): number => (typeof given === 'number' ? given : own);
  const channels = (first ? a : c) as number;
  const height = size(first ? b : a, image.height);
  const width = size(first ? c : b, image.width);
  const inner = first ? [channels, height, width] : [height, width, channels];
  return { shape: outer === 1 ? [1, ...inner] : inner, channels, height, width, first };
}

function factors(
  query: URLSearchParams,
  key: string,
  usual: number,
  channels: number,
  name: string,
): readonly number[] {
  const text = query.get(key);
  if (text === null) return new Array<number>(channels).fill(usual);
  const numbers = text.split(',').map(Number);
  const all =
    numbers.length === 1 ? new Array<number>(channels).fill(numbers[0] as number) : numbers;
  const isUsable = all.length === channels && all.every(Number.isFinite);
  if (!isUsable || (key === 'std' && all.includes(0))) {
    throw inputFailure(name, `${key} needs 1 or ${channels} numbers`);
  }
  return all;
}

/** Bilinear between pixel centres; u and v from 0 to 1. */
function sample(
  { width, height, data }: Pixels,
  u: number,
  v: number,
): readonly [number, number, number, number] {
  const x = Math.min(Math.max(u * width - 0.5, 0), width - 1);
  const y = Math.min(Math.max(v * height - 0.5, 0), height - 1);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [dx, dy] = [x - left, y - top];
  const at = (column: number, row: number, c: number): number =>
    data[(row * width + column) * 4 + c] as number;
  const mix = (c: number): number => {
    const upper = at(left, top, c) * (1 - dx) + at(right, top, c) * dx;
    const lower = at(left, bottom, c) * (1 - dx) + at(right, bottom, c) * dx;
    return upper * (1 - dy) + lower * dy;
  };
  return [mix(0), mix(1), mix(2), mix(3)];
}
