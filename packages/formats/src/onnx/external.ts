/**
 * External tensor data: its entries are parsed strictly, its location may only name a file below
 * the model's folder, and bytes come from a function of the caller, never from a path opened here.
 */
import { shortName } from '../base/text.js';
import { mapTensors } from './map-tensors.js';
import type { ModelProto, TensorProto } from './model.js';
import { modelFailure } from './read-parts.js';
import { rawByteLength } from './read-tensor.js';

export interface ExternalReference {
  /** Relative path with '/' between parts, checked. */
  readonly location: string;
  readonly offset: number;
  /** Null: as many bytes as the tensor's sizes need. */
  readonly length: number | null;
}

const longestLocation = 4096;

/** Why a location is not a plain relative path inside a folder; null when it is one. */
export function locationProblem(location: string): string | null {
  if (location === '') return 'it is empty';
  if (location.length > longestLocation) return 'it is too long';
  if (location.includes('\0')) return 'it holds a NUL character';
  if (location.includes('\\')) return 'it holds a backslash';
  if (location.startsWith('/')) return 'it is absolute';
  if (/^[A-Za-z]:/.test(location)) return 'it names a drive';
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(location)) return 'it is a URL';
  if (location.split('/').includes('..')) return 'it leaves the folder of the model';
  return null;
}

/**
 * The reference in a tensor's external_data entries. Only location, offset, length and checksum are
 * known; the checksum is not verified. Errors: OC-ONNX-12, 13, 14.
 */
export function externalReference(tensor: TensorProto, place = ''): ExternalReference {
  const name = shortName(tensor.name);
  const values = new Map<string, string>();
  for (const { key, value } of tensor.externalData ?? []) {
    const known = ['location', 'offset', 'length', 'checksum'].includes(key);
    const reason = known ? 'it stands twice' : 'it is unknown';
    if (known && !values.has(key)) values.set(key, value);
    else throw modelFailure('OC-ONNX-14', { tensor: name, key: shortName(key), reason }, place);
  }
  const location = values.get('location') ?? '';
  const problem = locationProblem(location);
  if (problem !== null) {
    const details = { tensor: name, location: shortName(location), reason: problem };
    throw modelFailure('OC-ONNX-12', details, place);
  }
  const number = (key: string): number | null => {
    const text = values.get(key);
    if (text === undefined) return null;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    const reason = `${key} "${shortName(text)}" is not a whole number from 0 to 2^53`;
    throw modelFailure('OC-ONNX-13', { tensor: name, reason }, place);
  };
  return { location, offset: number('offset') ?? 0, length: number('length') };
}

/** Every location that the model's tensors name, checked, each once: for callers that prefetch. */
export function externalLocations(model: ModelProto, place = ''): readonly string[] {
  const locations = new Set<string>();
  mapTensors(model, (tensor) => {
    if (tensor.externalData !== undefined) locations.add(externalReference(tensor, place).location);
    return tensor;
  });
  return [...locations];
}

/**
 * The model with every external tensor's bytes in `rawData`, as views. `readFile` gives the bytes
 * of a location and is called once for each. Errors: OC-ONNX-12 … 15, or what `readFile` throws.
 */
export function loadExternalData(
  model: ModelProto,
  readFile: (location: string) => Uint8Array,
  place = '',
): ModelProto {
  const files = new Map<string, Uint8Array>();
  return mapTensors(model, (tensor) => {
    if (tensor.externalData === undefined) return tensor;
    const reference = externalReference(tensor, place);
    const bytes = files.get(reference.location) ?? readFile(reference.location);
    files.set(reference.location, bytes);
    return withData(tensor, reference, bytes, place);
  });
}

function withData(
  tensor: TensorProto,
  reference: ExternalReference,
  bytes: Uint8Array,
  place: string,
): TensorProto {
  const { location, offset } = reference;
  const need = rawByteLength(tensor, place);
  const length = reference.length ?? need;
  const wrong = (reason: string): Error =>
    modelFailure('OC-ONNX-13', { tensor: shortName(tensor.name), reason }, place);
  if (length !== need) throw wrong(`length ${length}, but the sizes need ${need} bytes`);
  // Subtracting instead of adding: the sum of two safe integers may not be one.
  if (offset > bytes.length || length > bytes.length - offset) {
    const file = `"${shortName(location)}" (${bytes.length} bytes)`;
    throw wrong(`offset ${offset} and length ${length} reach past the end of ${file}`);
  }
  const { externalData: _, ...rest } = tensor;
  return { ...rest, rawData: bytes.subarray(offset, offset + length) };
}
