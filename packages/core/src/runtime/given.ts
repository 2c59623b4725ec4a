/**
 * Memory that a run is given: the caller's own arrays where the device shares the host's memory,
 * and values that lie on the device already.
 */
import { bytesOf } from '../base/dtype.js';
import { arrayOver, elementCount, emptyTensor, type HostTensor } from '../base/host-tensor.js';
import type { Buffer, Procedure } from '../codegen/program.js';
import { ownResults } from '../codegen/segments.js';
import type { MemoryArgument } from './contract.js';
import type { KeptArrays } from './kept-arrays.js';
import { tensorBytes } from './session.js';
import { type Environment, evaluatorOf, isKnown, shapeOf } from './sizes.js';

/** A new array for a shorter result is not worth a handle. */
const leastBytes = 2 ** 16;
/** Launches that read a streamed input: it crosses the memory once for each. */
const mostReaders = 2;

/** Arrays of the host as device memory. */
export interface Wrapped {
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** Results that are written where they are wanted, by index: the caller's arrays or new ones. */
  readonly results: ReadonlyMap<number, HostTensor>;
  /** Bytes of the new arrays: they count against the program's limit while it runs. */
  readonly newBytes: number;
}

type Into = readonly (HostTensor | undefined)[];

/**
 * Wraps what the device can use where it lies. Arrays to be written are left out where an input
 * or another of them covers the same bytes, or where their size is not known yet. Results that
 * nobody gave an array for get a new one, if it fits into the bytes that are left.
 */
export function wrapArrays(
  arrays: KeptArrays | undefined,
  procedure: Procedure,
  inputs: readonly HostTensor[],
  into: Into,
  environment: Environment,
  freeBytes: number,
): Wrapped {
  const places = new Map<number, MemoryArgument>();
  const results = new Map<number, HostTensor>();
  let newBytes = 0;
  if (arrays === undefined) return { places, results, newBytes };
  const add = (id: number, bytes: Uint8Array): boolean => {
    const memory = arrays.suits(id, bytes) ? arrays.wrap(bytes) : undefined;
    if (memory === undefined) return false;
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
    if (id === undefined || !arrays.takes(id)) {
      // It is written in the end: none that is written before may lie there.
      taken.push(...bytesIn(into[i]));
      continue;
    }
    const tensor =
      into[i] ??
      newTensor(arrays, procedure.results[i], byId.get(id), environment, freeBytes - newBytes);
    const [bytes] = bytesIn(tensor);
    if (tensor === undefined || bytes === undefined) continue;
    if (!fits(tensor, procedure.results[i], byId.get(id), environment)) continue;
    const isFree = !taken.some((other) => overlaps(bytes, other));
    taken.push(bytes);
    if (!isFree || !add(id, bytes)) continue;
    results.set(i, tensor);
    if (into[i] === undefined) newBytes += bytes.byteLength;
  }
  return { places, results, newBytes };
}

/**
 * Inputs and results whose every launch has windows of them, so that a device need not hold them
 * whole. A result comes from one launch.
 */
export function streamedBuffers(procedure: Procedure): ReadonlySet<number> {
  const { parameters, results, steps } = procedure;
  const uses = new Map<number, number>();
  const excluded = new Set<number>();
  for (const step of steps) {
    if (step.kind !== 'launch') return new Set();
    step.buffers.forEach((id, i) => {
      uses.set(id, (uses.get(id) ?? 0) + 1);
      const isOnce = step.buffers.indexOf(id) === step.buffers.lastIndexOf(id);
      if (step.windows[i] === 0 || !isOnce) excluded.add(id);
    });
  }
  const usedBy = (most: number, id: number): boolean => {
    const count = uses.get(id) ?? 0;
    return count > 0 && count <= most && !excluded.has(id);
  };
  const named = results.map(({ buffer }) => buffer);
  const inputs = parameters.flatMap(({ buffer, overwritten }) =>
    buffer === undefined || overwritten === true || named.includes(buffer) ? [] : [buffer],
  );
  const outputs = ownResults(procedure).filter((id): id is number => {
    return id !== undefined && named.indexOf(id) === named.lastIndexOf(id);
  });
  return new Set([
    ...inputs.filter((id) => usedBy(mostReaders, id)),
    ...outputs.filter((id) => usedBy(1, id)),
  ]);
}

/** Of a large result whose size is known; undefined over the limit, which the plan then names. */
function newTensor(
  arrays: KeptArrays,
  result: Procedure['results'][number] | undefined,
  buffer: Buffer | undefined,
  environment: Environment,
  mostBytes: number,
): HostTensor | undefined {
  if (result === undefined || buffer === undefined) return undefined;
  if (!isKnown(buffer.bytes, environment)) return undefined;
  if (!result.shape.every((size) => isKnown(size, environment))) return undefined;
  const bytes = evaluatorOf(buffer.bytes)(environment);
  if (bytes < leastBytes || bytes > mostBytes) return undefined;
  const { dtype } = result;
  const shape = shapeOf(result.shape, environment);
  const array = arrays.newArray(elementCount(shape) * bytesOf(dtype));
  return array === undefined
    ? emptyTensor(dtype, shape)
    : { dtype, shape, data: arrayOver(dtype, array) };
}

/** None of an array that was transferred. */
function bytesIn(tensor: HostTensor | undefined): Uint8Array[] {
  if (tensor === undefined || !ArrayBuffer.isView(tensor.data)) return [];
  return tensor.data.length === 0 ? [] : [tensorBytes(tensor)];
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
