/**
 * NumPy .npy files, versions 1 to 3, to host tensors and back. Object arrays are refused, because
 * reading them would mean running pickled code. Format: numpy.lib.format.
 */
import {
  allocateArray,
  type DType,
  dtypeFacts,
  elementCount,
  failure,
  type HostArray,
  type HostTensor,
  isFloat,
  readElement,
} from './base/core.js';
import { arrayFromBytes, bytesFromArray } from './base/little-endian.js';
import { decodeUtf8, encodeUtf8, shortName } from './base/text.js';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const longestHeader = 65_536;
const largestRank = 64;

const dtypeByCode: ReadonlyMap<string, DType> = new Map([
  ['b1', 'bool'],
  ['?', 'bool'],
  ['i1', 'i8'],
  ['i2', 'i16'],
  ['i4', 'i32'],
  ['i8', 'i64'],
  ['u1', 'u8'],
  ['u2', 'u16'],
  ['u4', 'u32'],
  ['u8', 'u64'],
  ['f2', 'f16'],
  ['f4', 'f32'],
  ['f8', 'f64'],
]);

interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
}

/**
 * Reads one array. Aligned little-endian data in C order is a view of `bytes`; fixed-width text
 * (dtype U) gives strings. Errors: OC-NPY-01 … 07.
 */
export function readNpy(bytes: Uint8Array, fileName = 'array.npy'): HostTensor {
  const where = { where: shortName(fileName) };
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte)) {
    throw failure('OC-NPY-01', {}, where);
  }
  const major = bytes[6] as number;
  if (major < 1 || major > 3 || bytes[7] !== 0) {
    throw failure('OC-NPY-02', { version: `${major}.${bytes[7]}` }, where);
  }
  const lengthBytes = major === 1 ? 2 : 4;
  const start = 8 + lengthBytes;
  let length = 0;
  for (let i = lengthBytes - 1; i >= 0; i--) length = length * 256 + (bytes[8 + i] ?? 0);
  if (length > longestHeader || start + length > bytes.length) {
    throw failure('OC-NPY-03', { reason: `a length of ${length} bytes` }, where);
  }
  const text = decodeUtf8(bytes, start, start + length);
  if (text === null) throw failure('OC-NPY-03', { reason: 'it is not text' }, where);
  const header = parseHeader(text, fileName);
  const { shape } = header;
  const count = elementCount(shape);
  let nonZero = 1;
  for (const size of shape) nonZero *= Math.max(size, 1);
  if (shape.length > largestRank || nonZero > Number.MAX_SAFE_INTEGER) {
    throw failure('OC-NPY-06', { shape: shape.slice(0, 8).join(',') }, where);
  }
  return readArray(bytes.subarray(start + length), header, count, fileName);
}

function readArray(
  payload: Uint8Array,
  header: Header,
  count: number,
  fileName: string,
): HostTensor {
  const where = { where: shortName(fileName) };
  const { descr, shape, fortran } = header;
  const dtypeText = shortName(descr);
  const match = /^([<>|])([?a-zA-Z])(\d{0,6})$/.exec(descr);
  if (match === null) {
    const reason = 'structured or unknown';
    throw failure('OC-NPY-05', { dtype: dtypeText, reason }, { ...where, kind: 'refused' });
  }
  const [, order = '', letter = '', digits = ''] = match;
  if (letter === 'O') throw failure('OC-NPY-04', { dtype: dtypeText }, where);
  const dtype = letter === 'U' ? 'string' : dtypeByCode.get(letter + digits);
  if (dtype === undefined) {
    const reason = letter === 'c' ? 'complex numbers' : 'only bool, integers, f2, f4, f8 and U are';
    throw failure('OC-NPY-05', { dtype: dtypeText, reason }, { ...where, kind: 'refused' });
  }
  const size = dtype === 'string' ? 4 * Number(digits) : dtypeFacts[dtype].bits / 8;
  const need = count * size;
  if (payload.length !== need) {
    throw failure('OC-NPY-07', { have: payload.length, need }, where);
  }
  const wordBytes = dtype === 'string' ? 4 : size;
  const bytes = order === '>' ? swapped(payload, wordBytes) : payload;
  const data =
    dtype === 'string'
      ? readTexts(bytes, count, Number(digits), fileName)
      : dtype === 'bool'
        ? bytes.map((byte) => (byte === 0 ? 0 : 1))
        : arrayFromBytes(dtype, bytes);
  return {
    dtype,
    shape,
    data: fortran && shape.length > 1 ? toRowMajor(dtype, shape, data) : data,
  };
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (let at = 0; at < copy.length; at += size) copy.subarray(at, at + size).reverse();
  return copy;
}

/** UTF-32 text of a fixed width, padded by zeros. */
function readTexts(
  bytes: Uint8Array,
  count: number,
  width: number,
  fileName: string,
): readonly string[] {
  // Zero-width text has no payload that would bound the number of elements.
  if (width === 0 && count > longestHeader) {
    throw failure('OC-NPY-06', { shape: String(count) }, { where: shortName(fileName) });
  }
  const points = arrayFromBytes('u32', bytes) as Uint32Array;
  return Array.from({ length: count }, (_, i) => {
    let text = '';
    const end = (i + 1) * width;
    let last = end;
    while (last > i * width && points[last - 1] === 0) last -= 1;
    for (let at = i * width; at < last; at++) {
      const point = points[at] as number;
      if (point > 0x10ffff) {
        const reason = `${point} is no character`;
        throw failure('OC-NPY-05', { dtype: 'U', reason }, { where: shortName(fileName) });
      }
      text += String.fromCodePoint(point);
    }
    return text;
  });
}

/** Column-major data in row-major order. */
function toRowMajor(dtype: DType, shape: readonly number[], data: HostArray): HostArray {
  const count = data.length;
  const result: { [index: number]: unknown } =
    dtype === 'string' ? new Array<string>(count).fill('') : allocateArray(dtype, count);
  const strides: number[] = [];
  let stride = 1;
  for (const size of shape) {
    strides.push(stride);
    stride *= size;
  }
  const index = shape.map(() => 0);
  let source = 0;
  for (let i = 0; i < count; i++) {
    result[i] = data[source];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const step = strides[axis] as number;
      source += step;
      const next = (index[axis] as number) + 1;
      index[axis] = next;
      if (next < (shape[axis] as number)) break;
      source -= step * next;
      index[axis] = 0;
    }
  }
  return result as unknown as HostArray;
}

/** The header is a Python dict literal with exactly three keys; nothing else is understood. */
function parseHeader(text: string, fileName: string): Header {
  const fail = (reason: string): Error =>
    failure('OC-NPY-03', { reason }, { where: shortName(fileName) });
  const body = /^\{(.*)\}\s*$/s.exec(text.trimEnd())?.[1];
  if (body === undefined) throw fail('it is not a dictionary');
  const found = new Map<string, string>();
  const pattern =
    /\s*(['"])(\w{1,32})\1\s*:\s*('[^']*'|"[^"]*"|True|False|\([\d\sL,]*\)|\[[^\]]*\])\s*(,|$)/y;
  while (pattern.lastIndex < body.length && body.slice(pattern.lastIndex).trim() !== '') {
    const match = pattern.exec(body);
    if (match === null) throw fail('it is malformed');
    const [, , key = '', value = ''] = match;
    if (found.has(key)) throw fail(`the key ${key} stands twice`);
    found.set(key, value);
  }
  const descr = found.get('descr');
  const order = found.get('fortran_order');
  const shape = found.get('shape');
  if (descr === undefined || order === undefined || shape === undefined || found.size !== 3) {
    throw fail('it must have descr, fortran_order and shape');
  }
  if (order !== 'True' && order !== 'False') throw fail('fortran_order is not True or False');
  if (!/^\(\s*(\d+L?\s*(,\s*\d+L?\s*)*,?\s*)?\)$/.test(shape)) throw fail('shape is malformed');
  const sizes = [...shape.matchAll(/\d+/g)].map((each) => Number(each[0]));
  const quoted = /^['"](.*)['"]$/.exec(descr)?.[1];
  return { descr: quoted ?? descr, fortran: order === 'True', shape: sizes };
}

/**
 * Writes one array, version 1.0 (3.0 never needed: no field names). Types that NumPy lacks are
 * widened without loss: bf16, 8- and 4-bit floats to f4, sub-byte integers to one byte.
 */
export function writeNpy(tensor: HostTensor): Uint8Array {
  const { descr, payload } = encodePayload(tensor);
  const { shape } = tensor;
  const sizes = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${sizes}, }`;
  // The data begins at a multiple of 64, so that readers may map it.
  const padding = 63 - ((10 + text.length) % 64);
  const header = encodeUtf8(`${text}${' '.repeat(padding)}\n`);
  const bytes = new Uint8Array(10 + header.length + payload.length);
  bytes.set(magic);
  bytes.set([1, 0, header.length & 255, header.length >> 8], 6);
  bytes.set(header, 10);
  bytes.set(payload, 10 + header.length);
  return bytes;
}

function encodePayload(tensor: HostTensor): { descr: string; payload: Uint8Array } {
  const { dtype, data } = tensor;
  if (dtype === 'string') return encodeTexts(data as readonly string[]);
  const numbers = data as Exclude<HostArray, readonly string[]>;
  const code = codeByDtype.get(dtype);
  if (code !== undefined) {
    const order = numbers.BYTES_PER_ELEMENT === 1 ? '|' : '<';
    return { descr: order + code, payload: bytesFromArray(dtype, numbers) };
  }
  if (!isFloat(dtype)) {
    const descr = dtypeFacts[dtype].kind === 'signed' ? '|i1' : '|u1';
    return { descr, payload: bytesFromArray(dtype, numbers) };
  }
  const wide = Float32Array.from(numbers as ArrayLike<number>, (_, i) =>
    Number(readElement(tensor, i)),
  );
  return { descr: '<f4', payload: bytesFromArray('f32', wide) };
}

const codeByDtype: ReadonlyMap<DType, string> = new Map(
  [...dtypeByCode].filter(([code]) => code !== '?').map(([code, dtype]) => [dtype, code]),
);

function encodeTexts(texts: readonly string[]): { descr: string; payload: Uint8Array } {
  const points = texts.map((text) => Array.from(text, (each) => each.codePointAt(0) as number));
  const width = points.reduce((longest, each) => Math.max(longest, each.length), 1);
  const data = new Uint32Array(texts.length * width);
  for (const [i, each] of points.entries()) data.set(each, i * width);
  return { descr: `<U${width}`, payload: bytesFromArray('u32', data) };
}
