/**
 * Memory that a run is given: the caller's own arrays where the device shares the host's memory,
 * and values that lie on the device already.
 */
import { elementCount, type HostTensor } from '../base/host-tensor.js';
import type { Buffer, Procedure } from '../codegen/program.js';
import { ownResults } from '../codegen/segments.js';
import type { Device, Memory, MemoryArgument } from './contract.js';
import { tensorBytes } from './session.js';
import { type Environment, evaluatorOf, isKnown } from './sizes.js';

/** Below this a copy costs less than the handle. */
const leastBytes = 2 ** 16;

/** The caller's arrays as device memory. */
export interface Wrapped {
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** Indices of results that are written to the caller's arrays. */
  readonly results: ReadonlySet<number>;
  readonly memories: readonly Memory[];
}

type Into = readonly (HostTensor | undefined)[];

/**
 * Wraps what the device can use where it lies. Arrays to be written are left out where an input
 * or another of them covers the same bytes, or where their size is not known yet.
 */
export function wrapArrays(
  device: Device,
  procedure: Procedure,
  inputs: readonly HostTensor[],
  into: Into,
  environment: Environment,
): Wrapped {
  const places = new Map<number, MemoryArgument>();
  const results = new Set<number>();
  const memories: Memory[] = [];
  const wrapped = { places, results, memories };
  if (device.wrap === undefined) return wrapped;
  const add = (id: number, bytes: Uint8Array): boolean => {
    const memory = bytes.byteLength < leastBytes ? undefined : device.wrap?.(bytes);
    if (memory === undefined) return false;
    memories.push(memory);
    places.set(id, { memory, offset: 0, bytes: bytes.byteLength, access: 'readWrite' });
    return true;
  };
  procedure.parameters.forEach(({ buffer, overwritten }, i) => {
    const tensor = inputs[i] as HostTensor;
    if (buffer !== undefined && overwritten !== true) add(buffer, tensorBytes(tensor));
  });
  const taken = inputs.flatMap(bytesIn);
  const byId = new Map(procedure.buffers.map((buffer) => [buffer.id, buffer]));
  for (const [i, id] of ownResults(procedure).entries()) {
    const [bytes] = bytesIn(into[i]);
    if (id === undefined || bytes === undefined) continue;
    if (!fits(into[i] as HostTensor, procedure.results[i], byId.get(id), environment)) continue;
    const isFree = !taken.some((other) => overlaps(bytes, other));
    taken.push(bytes);
    if (isFree && add(id, bytes)) results.add(i);
  }
  return wrapped;
}

function bytesIn(tensor: HostTensor | undefined): Uint8Array[] {
  return tensor === undefined || !ArrayBuffer.isView(tensor.data) ? [] : [tensorBytes(tensor)];
}

const overlaps = (a: Uint8Array, b: Uint8Array): boolean =>
  a.buffer === b.buffer &&
  a.byteOffset < b.byteOffset + b.byteLength &&
  b.byteOffset < a.byteOffset + a.byteLength;

function fits(
  tensor: HostTensor,
  result: Procedure['results'][number] | undefined,
  buffer: Buffer | undefined,
  environment: Environment,
): boolean {
  if (result === undefined || buffer === undefined || tensor.dtype !== result.dtype) return false;
  if (!result.shape.every((size) => isKnown(size, environment))) return false;
  const count = result.shape.reduce<number>(
    (total, size) => total * evaluatorOf(size)(environment),
    1,
  );
  return count === elementCount(tensor.shape) && count === tensor.data.length;
}
