/** Runs one kernel in slices of tasks, each a call of the module's function. */
import type { Command } from '@open-claw/core/device/contract';
import { failure } from '@open-claw/core/device/contract';
import type { LinearMemory } from './memory.js';
import type { Job } from './queue.js';

export type Launch = Extract<Command, { kind: 'launch' }>;

/** Where the arguments of the running kernel lie; below every buffer. */
const bufferBlock = 1024;
const sizesBlock = 16384;
export const maxBindings = 1024;
const maxSizes = 4096;

/** Time in milliseconds that one slice aims at. */
const sliceMilliseconds = 1;
const firstMicroseconds = 100;

/** Runs between slices: throws where the work shall end. */
export type Check = () => void;

/** `scratch` is the address of memory for the kernel's own use. */
export function* launch(
  linear: LinearMemory,
  command: Launch,
  scratch: (bytes: number) => number,
  check: Check,
): Job {
  const module = linear.ownModule(command.module);
  const run = module.functions?.[command.entry];
  const entry = module.entries.find(({ name }) => name === command.entry);
  if (run === undefined || entry === undefined) {
    throw failure('OC-DEVICE-03', { reason: `no kernel ${command.entry} is loaded` });
  }
  const { buffers, sizes } = command;
  const fits = buffers.length === entry.buffers.length && sizes.length === entry.sizes.length;
  if (!fits || buffers.length > maxBindings || sizes.length > maxSizes) {
    const reason = `${buffers.length} buffers and ${sizes.length} sizes for ${command.entry}`;
    throw failure('OC-DEVICE-03', { reason });
  }
  const addresses = buffers.map((argument) => linear.locateArgument(argument));
  const scratchAddress = scratch(entry.scratchBytes);
  const place = (): void => {
    const { buffer } = linear.memory;
    new Uint32Array(buffer, bufferBlock, addresses.length).set(addresses);
    new BigInt64Array(buffer, sizesBlock, sizes.length).set(sizes.map(BigInt));
  };
  const tasks = command.grid.reduce((product, extent) => product * extent, 1);
  place();
  let slice = firstSlice(tasks, command.microseconds);
  for (let begin = 0; begin < tasks; ) {
    const end = Math.min(begin + slice, tasks);
    const before = performance.now();
    run(bufferBlock, sizesBlock, scratchAddress, BigInt(begin), BigInt(end));
    slice = nextSlice(end - begin, performance.now() - before);
    begin = end;
    if (begin < tasks) {
      yield;
      check();
    }
  }
}

/** As many tasks as should take so long; short, because estimates may be far off. */
function firstSlice(tasks: number, microseconds: number): number {
  if (!(microseconds > 0)) return 1;
  return Math.max(1, Math.floor((tasks * firstMicroseconds) / microseconds));
}

/** By what the last one took; clocks are coarse, so growth is bounded. */
function nextSlice(tasks: number, milliseconds: number): number {
  const factor = Math.min(4, sliceMilliseconds / Math.max(milliseconds, 1e-3));
  return Math.max(1, Math.floor(tasks * factor));
}
