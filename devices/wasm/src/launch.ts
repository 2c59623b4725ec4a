/**
 * Runs one kernel in slices of tasks, each a call of the module's function; where it is worth
 * waking them, workers take tasks of the same kernel.
 */
import type { Command } from '@open-claw/core/device/contract';
import { failure } from '@open-claw/core/device/contract';
import type { EntryFunction, LinearMemory, WasmModule } from './memory.js';
import type { Pool } from './pool.js';
import type { Job } from './queue.js';

export type Launch = Extract<Command, { kind: 'launch' }>;

/** Where the arguments of the running kernel lie; below every buffer. */
export const bufferBlock = 1024;
export const sizesBlock = 16384;
export const maxBindings = 1024;
const maxSizes = 4096;

/** Time in milliseconds that one slice aims at. */
const sliceMilliseconds = 1;
const firstMicroseconds = 100;

/** Estimated microseconds from which workers are woken. */
const sharedMicroseconds = 60;
/** What one range of tasks of a worker takes at least, and how many ranges there are per thread. */
const chunkMicroseconds = 20;
const chunksPerThread = 8;
const scratchAlignment = 64;

/** Runs between slices: throws where the work shall end. */
export type Check = () => void;

/** What a device runs kernels with. */
export interface Surroundings {
  readonly linear: LinearMemory;
  /** Absent where the calling thread is the only one. */
  readonly pool: Pool | undefined;
  /** Address of so many bytes for the kernel's own use. */
  scratch(bytes: number): number;
}

/** A kernel with its arguments where it reads them. */
interface Prepared {
  readonly module: WasmModule;
  readonly run: EntryFunction;
  readonly tasks: number;
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Checks a launch and writes its arguments; `threads` have scratch of their own. */
function prepare(around: Surroundings, command: Launch, threads: number): Prepared {
  const { linear } = around;
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
  const scratchBytes = Math.ceil(entry.scratchBytes / scratchAlignment) * scratchAlignment;
  const scratch = around.scratch(scratchBytes * threads);
  linear.writeAddresses(bufferBlock, addresses);
  new BigInt64Array(linear.memory.buffer, sizesBlock, sizes.length).set(sizes.map(BigInt));
  return { module, run, tasks: tasksOf(command), scratch, scratchBytes };
}

const tasksOf = ({ grid }: Launch): number => grid.reduce((product, extent) => product * extent, 1);

/** All tasks at once on the calling thread: for kernels of few microseconds. */
export function launchNow(around: Surroundings, command: Launch): void {
  const { run, tasks, scratch } = prepare(around, command, 1);
  run(bufferBlock, sizesBlock, scratch, 0n, BigInt(tasks));
}

export function* launch(around: Surroundings, command: Launch, check: Check): Job {
  const { pool } = around;
  const { microseconds } = command;
  const shares = pool !== undefined && microseconds >= sharedMicroseconds && tasksOf(command) > 1;
  const threads = shares ? pool.threads : 1;
  const { module, run, tasks, scratch, scratchBytes } = prepare(around, command, threads);
  if (!shares) {
    yield* alone(run, scratch, tasks, microseconds, check);
    return;
  }
  const chunk = chunkOf(tasks, threads, microseconds);
  open(pool, module, command.entry, { scratch, scratchBytes, chunk, tasks });
  try {
    yield* together(pool, run, scratch, tasks, chunk, check);
  } finally {
    yield* pool.close();
  }
}

function* alone(
  run: EntryFunction,
  scratch: number,
  tasks: number,
  microseconds: number,
  check: Check,
): Job {
  let slice = firstSlice(tasks, microseconds);
  for (let begin = 0; begin < tasks; ) {
    const end = Math.min(begin + slice, tasks);
    const before = performance.now();
    run(bufferBlock, sizesBlock, scratch, BigInt(begin), BigInt(end));
    slice = nextSlice(end - begin, performance.now() - before);
    begin = end;
    if (begin < tasks) {
      yield;
      check();
    }
  }
}

/** The calling thread's part of a launch that is open. */
function* together(
  pool: Pool,
  run: EntryFunction,
  scratch: number,
  tasks: number,
  chunk: number,
  check: Check,
): Job {
  let slice = chunk;
  for (;;) {
    const begin = pool.take(slice);
    if (begin >= tasks) return;
    const end = Math.min(begin + slice, tasks);
    const before = performance.now();
    run(bufferBlock, sizesBlock, scratch, BigInt(begin), BigInt(end));
    slice = Math.min(chunk, nextSlice(end - begin, performance.now() - before));
    yield;
    check();
  }
}

function open(
  pool: Pool,
  { place }: WasmModule,
  entry: string,
  rest: {
    readonly scratch: number;
    readonly scratchBytes: number;
    readonly chunk: number;
    readonly tasks: number;
  },
): void {
  if (place?.code.address === undefined) {
    throw failure('OC-DEVICE-03', { reason: `no kernel ${entry} is loaded` });
  }
  const { slot, version, code, names } = place;
  const where = { moduleAddress: place.code.address, moduleBytes: code.bytes };
  pool.open({ slot, version, ...where, entry: names.indexOf(entry), ...rest });
}

/** Small enough to even out the end, large enough to be worth asking for. */
function chunkOf(tasks: number, threads: number, microseconds: number): number {
  const worthwhile = (tasks * chunkMicroseconds) / microseconds;
  const most = tasks / (threads * chunksPerThread);
  return Math.max(1, Math.min(Math.ceil(worthwhile), Math.floor(most)));
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
