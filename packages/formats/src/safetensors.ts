/**
 * Safetensors files: bytes in, named tensors out, as views where alignment permits. Everything is
 * checked before anything is made: the header's length, its JSON, and that the tensors' ranges
 * follow one another without gap or overlap to the end (format description of huggingface).
 */
import { bytesOf, type DType, failure, type HostTensor } from './base/core.js';
import { arrayFromBytes } from './base/little-endian.js';
import { decodeUtf8, shortName } from './base/text.js';

export interface SafetensorsLimits {
  /** Longest header in bytes; the format itself ends at 100 MB. */
  readonly headerBytes: number;
  readonly tensors: number;
}

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

const defaultLimits: SafetensorsLimits = { headerBytes: 2 ** 25, tensors: 1_000_000 };

const dtypeNames: ReadonlyMap<unknown, DType> = new Map([
  ['BOOL', 'bool'],
  ['U8', 'u8'],
  ['I8', 'i8'],
  ['U16', 'u16'],
  ['I16', 'i16'],
  ['U32', 'u32'],
  ['I32', 'i32'],
  ['U64', 'u64'],
  ['I64', 'i64'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['F32', 'f32'],
  ['F64', 'f64'],
]);

/** Sizes of one tensor. */
const mostAxes = 64;

/**
 * Reads a whole file. Errors: OC-SAFETENSORS-01 for the header, -02 for the description of one
 * tensor, -03 for ranges that overlap, leave gaps or do not fit the file; OC-PB-09 for limits.
 */
export function readSafetensors(
  bytes: Uint8Array,
  limits: Partial<SafetensorsLimits> = {},
  fileName = 'model.safetensors',
): Safetensors {
  const bounds = { ...defaultLimits, ...limits };
  const where = shortName(fileName);
  const [entries, start] = readHeader(bytes, bounds, where);
  const metadata = readMetadata(entries.get('__metadata__'), where);
  entries.delete('__metadata__');
  const data = bytes.subarray(start);
  const described = [...entries].map(([name, value]) => describe(name, value, where));
  checkRanges(described, data.length, where);
  const tensors = new Map<string, HostTensor>();
  for (const { name, dtype, shape, begin, end } of described) {
    const array = arrayFromBytes(dtype, data.subarray(begin, end));
    if (dtype === 'bool' && (array as Uint8Array).some((value) => value > 1)) {
      throw wrongTensor(name, 'bools are 0 or 1', where);
    }
    tensors.set(name, { dtype, shape, data: array });
  }
  return { tensors, metadata };
}

function readHeader(
  bytes: Uint8Array,
  { headerBytes, tensors }: SafetensorsLimits,
  where: string,
): readonly [Map<string, unknown>, number] {
  const fail = (reason: string): Error =>
    failure('OC-SAFETENSORS-01', { reason }, { where: `${where}: header at byte 8` });
  if (bytes.length < 8) throw fail(`the file has ${bytes.length} bytes, its length takes 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(bytes.length - 8)) {
    throw fail(`${length} bytes long, the file has ${bytes.length - 8} left`);
  }
  const end = 8 + Number(length);
  if (end - 8 > headerBytes) {
    const details = { what: 'bytes of the header', count: end - 8, limit: headerBytes };
    throw failure('OC-PB-09', details, { where });
  }
  const text = decodeUtf8(bytes, 8, end);
  if (text === null) throw fail('not UTF-8');
  if (!text.startsWith('{')) throw fail('it does not begin with {');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw fail('not JSON');
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw fail(`the key "${shortName(twice)}" stands twice`);
  const entries = new Map(Object.entries(parsed as object));
  if (entries.size > tensors) {
    const details = { what: 'tensors', count: entries.size, limit: tensors };
    throw failure('OC-PB-09', details, { where });
  }
  return [entries, end];
}

/** A key that stands twice in one object of valid JSON: readers disagree which one counts. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g;
  for (const [token, colon] of json.matchAll(tokens)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string;
      const seen = open.at(-1);
      if (seen?.has(key) === true) return key;
      seen?.add(key);
    }
  }
  return undefined;
}

function readMetadata(value: unknown, where: string): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const pairs = isObject ? Object.entries(value) : [];
  if (!isObject || !pairs.every(([, each]) => typeof each === 'string')) {
    throw failure('OC-SAFETENSORS-01', { reason: '__metadata__ holds more than texts' }, { where });
  }
  return new Map(pairs as [string, string][]);
}

interface Described {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const wrongTensor = (name: string, reason: string, where: string): Error =>
  failure('OC-SAFETENSORS-02', { name: shortName(name), reason }, { where });

function describe(name: string, value: unknown, where: string): Described {
  const fail = (reason: string): Error => wrongTensor(name, reason, where);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fail('it is not described by an object');
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const key of fields.keys()) {
    if (!['dtype', 'shape', 'data_offsets'].includes(key)) {
      throw fail(`the key "${shortName(key)}" is unknown`);
    }
  }
  const dtype = dtypeNames.get(fields.get('dtype'));
  if (dtype === undefined) throw fail(`dtype ${shortName(String(fields.get('dtype')))} is unknown`);
  const shape = fields.get('shape');
  if (!isSizes(shape) || shape.length > mostAxes) throw fail('its shape is no list of sizes');
  const offsets = fields.get('data_offsets');
  if (!isSizes(offsets) || offsets.length !== 2) throw fail('data_offsets are not two offsets');
  const [begin = 0, end = 0] = offsets;
  let need = bytesOf(dtype);
  for (const size of shape) need *= size;
  if (shape.includes(0)) need = 0;
  if (!Number.isSafeInteger(need) || need !== end - begin) {
    throw fail(`${end - begin} bytes where ${dtype}[${shape}] needs ${need}`);
  }
  return { name, dtype, shape, begin, end };
}

const isSizes = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

function checkRanges(described: readonly Described[], bytes: number, where: string): void {
  let at = 0;
  for (const { name, begin, end } of [...described].sort(byRange)) {
    if (begin !== at) {
      const kind = begin < at ? 'overlaps the one before' : `leaves ${begin - at} bytes unused`;
      throw failure('OC-SAFETENSORS-03', { reason: `"${shortName(name)}" ${kind}` }, { where });
    }
    at = end;
  }
  if (at === bytes) return;
  const reason = `the tensors take ${at} bytes, the file holds ${bytes}`;
  throw failure('OC-SAFETENSORS-03', { reason }, { where });
}

const byRange = (a: Described, b: Described): number => a.begin - b.begin || a.end - b.end;
