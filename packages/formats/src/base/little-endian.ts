/** Little-endian payloads as typed arrays: views where alignment permits, copies elsewhere. */
import { bytesOf, type DType, dtypeFacts, type HostArray } from './core.js';

type NumberArray = Exclude<HostArray, readonly string[]>;

interface ArrayType<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
}

const hostIsLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Whole elements only: trailing bytes are the caller's to refuse. */
export function viewAs<T>(bytes: Uint8Array, type: ArrayType<T>): T {
  const size = type.BYTES_PER_ELEMENT;
  const length = Math.floor(bytes.length / size);
  const aligned = bytes.byteOffset % size === 0;
  if (hostIsLittleEndian && aligned) return new type(bytes.buffer, bytes.byteOffset, length);
  // Not bytes.slice: that of Node's Buffer is a view.
  const copy = new Uint8Array(length * size);
  copy.set(bytes.subarray(0, length * size));
  if (!hostIsLittleEndian) swapBytes(copy, size);
  return new type(copy.buffer, 0, length);
}

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/** Bytes in storage form (see core's dtype.ts), little-endian, as the array class of `dtype`. */
export function arrayFromBytes(dtype: DType, bytes: Uint8Array): NumberArray {
  switch (dtypeFacts[dtype].storage) {
    case 'f64':
      return viewAs(bytes, Float64Array);
    case 'f32':
      return viewAs(bytes, Float32Array);
    case 'i64':
      return viewAs(bytes, BigInt64Array);
    case 'u64':
      return viewAs(bytes, BigUint64Array);
    case 'i32':
      return viewAs(bytes, Int32Array);
    case 'u32':
      return viewAs(bytes, Uint32Array);
    case 'i16':
      return viewAs(bytes, Int16Array);
    case 'u16':
      return viewAs(bytes, Uint16Array);
    case 'i8':
      return viewAs(bytes, Int8Array);
    default:
      return viewAs(bytes, Uint8Array);
  }
}

/** The little-endian bytes of an array: a view on a little-endian host. */
export function bytesFromArray(dtype: DType, data: NumberArray): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (hostIsLittleEndian) return bytes;
  const copy = bytes.slice();
  swapBytes(copy, bytesOf(dtype));
  return copy;
}
