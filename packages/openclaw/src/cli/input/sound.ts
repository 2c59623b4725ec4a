/** Sound as an input of a model: samples from −1 to 1 of a RIFF WAVE file. */
import { type HostTensor, hostTensor } from '@open-claw/core/face';
import { isFloat } from '@open-claw/core/internal';
import type { ModelPort } from '../../model/ports.js';
import { inputFailure } from './failure.js';

interface Format {
  /** 1: integers, 3: floats. */
  readonly code: number;
  readonly channels: number;
  readonly bits: number;
}

/** Channels are averaged; the rate is the file's. For an input of rank 1 or 2 ([1, n]). */
export function readSound(bytes: Uint8Array, name: string, port: ModelPort): HostTensor {
  const { dtype = 'f32', shape } = port;
  const rank = shape?.length ?? 1;
  if (!isFloat(dtype) || rank < 1 || rank > 2) {
    throw inputFailure(name, 'sound is given to inputs of floats of rank 1 or 2');
  }
  const samples = decode(bytes, name);
  return hostTensor(dtype, rank === 1 ? [samples.length] : [1, samples.length], samples);
}

function decode(bytes: Uint8Array, name: string): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') {
    throw inputFailure(name, 'not a RIFF WAVE file');
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [kind, length] = [tag(at), view.getUint32(at + 4, true)];
    const start = at + 8;
    if (kind === 'fmt ' && length >= 16 && start + length <= bytes.length) {
      const code = view.getUint16(start, true);
      format = {
        // An extensible format names its code in the first bytes of its own identifier.
        code: code === 0xfffe && length >= 26 ? view.getUint16(start + 24, true) : code,
        channels: view.getUint16(start + 2, true),
        bits: view.getUint16(start + 14, true),
      };
    }
    if (kind === 'data') {
      if (format === undefined) throw inputFailure(name, 'data stands before its format');
      // Streams leave the length open; what is there counts.
      const end = Math.min(start + length, bytes.length);
      return mono(new DataView(view.buffer, view.byteOffset + start, end - start), format, name);
    }
    at = start + length + (length % 2);
  }
  throw inputFailure(name, 'it has no samples');
}

function mono(view: DataView, { code, channels, bits }: Format, name: string): Float64Array {
  const read = readerOf(view, code, bits);
  if (read === undefined || channels === 0) {
    throw inputFailure(name, `format ${code} of ${bits} bits is not read`);
  }
  const size = bits / 8;
  const frames = Math.floor(view.byteLength / (size * channels));
  return Float64Array.from({ length: frames }, (_, frame) => {
    let total = 0;
    for (let c = 0; c < channels; c++) total += read((frame * channels + c) * size);
    return total / channels;
  });
}

function readerOf(
  view: DataView,
  code: number,
  bits: number,
): ((at: number) => number) | undefined {
  switch (`${code}/${bits}`) {
    case '1/8':
      return (at) => (view.getUint8(at) - 128) / 128;
    case '1/16':
      return (at) => view.getInt16(at, true) / 2 ** 15;
    case '1/24':
      return (at) => (view.getInt16(at + 1, true) * 256 + view.getUint8(at)) / 2 ** 23;
    case '1/32':
      return (at) => view.getInt32(at, true) / 2 ** 31;
    case '3/32':
      return (at) => view.getFloat32(at, true);
    case '3/64':
      return (at) => view.getFloat64(at, true);
    default:
      return undefined;
  }
}
