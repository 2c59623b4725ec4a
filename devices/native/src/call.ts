/** A short recording on the caller's thread, with the data that goes in and comes out. */
import { internal, type MemoryArgument } from '@open-claw/core/device/contract';
import type { Handles, Packed } from './commands.js';
import type { NativeRecording } from './handles.js';
import type { Run, Runtime } from './runtime.js';

interface Setting {
  readonly runtime: Runtime;
  readonly addressOf: Handles['addressOf'];
}

/** Gives what `Runtime.run` gives; nothing is copied out of a run that failed. */
export function callNow(
  { run }: NativeRecording,
  places: readonly MemoryArgument[],
  data: readonly Uint8Array[],
  setting: Setting,
): number {
  if (places.length > 0) move('read', places, data, setting);
  const code = setting.runtime.run(run);
  if (code === 0 && places.length > 0) move('write', places, data, setting);
  return code;
}

/** Data into the places of one access, or out of those of the other. */
function move(
  wanted: MemoryArgument['access'],
  places: readonly MemoryArgument[],
  data: readonly Uint8Array[],
  { runtime, addressOf }: Setting,
): void {
  for (let i = 0; i < places.length; i++) {
    const { access, memory, offset, bytes } = places[i] as MemoryArgument;
    if (access !== wanted || bytes === 0) continue;
    const array = data[i] as Uint8Array;
    if (array.byteLength !== bytes) throw internal('data of another length than its place');
    const address = addressOf(memory, offset, bytes);
    if (wanted === 'read') runtime.copy(address, array, bytes);
    else runtime.copy(array, address, bytes);
  }
}

/** A run of packed commands with times of its own. */
export function runOf({ words, count }: Packed, stop: Int32Array, threads: number): Run {
  const times = new BigInt64Array(new ArrayBuffer(Math.max(count, 1) * 8));
  return { words, count, stop, limit: 0, threads, times };
}
