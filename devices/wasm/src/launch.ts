/**
 * Runs one kernel in slices of tasks, each a call of the module's function; where it is worth
 * waking them, workers take tasks of the same kernel.
 */
import { failure, type Stop } from '@open-claw/core/device/contract';
import type { Launch } from './commands.js';
import {
  type Block,
  bufferBlock,
  type EntryFunction,
  type LinearMemory,
  sizesBlock,
  type WasmModule,
} from './memory.js';
import { mostSlots, type Pool, type Ring } from './pool.js';
import type { Job } from './queue.js';
import { type HostArray, hostArrays, tasksOfSlot, Windows } from './windows.js';

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
/** Windows that are filled, run or emptied at a time, per thread. */
const slotsPerThread = 2;
const scratchAlignment = 64;

/** Runs between slices: throws where the work shall end. */
export type Check = () => void;

/** Throws once the signal is aborted or the time is over. */
export function checkOf({ signal, timeLimit }: Stop): Check {
  const end = performance.now() + (timeLimit ?? Number.POSITIVE_INFINITY);
  return () => {
    if (signal?.aborted === true) throw failure('OC-DEVICE-05', {}, { cause: signal.reason });
    if (performance.now() > end) {
      throw failure('OC-DEVICE-04', { limit: timeLimit ?? 0 }, { retry: 'smaller' });
    }
  };
}

/** What a device runs kernels with. */
export interface Surroundings {
  readonly linear: LinearMemory;
  /** Absent where the calling thread is the only one. */
  readonly pool: Pool | undefined;
  /** For the kernel's own use. */
  readonly scratch: Block;
}

/** A kernel with its arguments where it reads them. */
interface Prepared {
  readonly module: WasmModule;
  readonly run: EntryFunction;
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Tasks of a launch: begin to end − 1, by an estimate in microseconds. */
interface Range {
  readonly begin: number;
  readonly end: number;
  readonly microseconds: number;
}

/** The kernel of a launch, checked against its arguments. Throws OC-DEVICE-03. */
export function entryOf(
  linear: LinearMemory,
  { module: handle, entry: name, buffers, sizes }: Launch,
): Omit<Prepared, 'scratch'> {
  const module = linear.ownModule(handle);
  const run = module.functions?.[name];
  const entry = module.entries.find((each) => each.name === name);
  if (run === undefined || entry === undefined) {
    throw failure('OC-DEVICE-03', { reason: `no kernel ${name} is loaded` });
  }
  const fits = buffers.length === entry.buffers.length && sizes.length === entry.sizes.length;
  if (!fits || buffers.length > maxBindings || sizes.length > maxSizes) {
    const reason = `${buffers.length} buffers and ${sizes.length} sizes for ${name}`;
    throw failure('OC-DEVICE-03', { reason });
  }
  const scratchBytes = Math.ceil(entry.scratchBytes / scratchAlignment) * scratchAlignment;
  return { module, run, scratchBytes };
}

/** Checks a launch and writes its arguments; `threads` have scratch of their own. */
function prepare(around: Surroundings, command: Launch, threads: number): Prepared {
  const { linear } = around;
  const { module, run, scratchBytes } = entryOf(linear, command);
  const scratch = around.scratch.reach(scratchBytes * threads);
  linear.writeSizes(sizesBlock, command.sizes);
  return { module, run, scratch, scratchBytes };
}

/** Tells the kernel where its buffers lie. */
function place({ linear }: Surroundings, { buffers }: Launch): void {
  const addresses = buffers.map((argument) => linear.locateArgument(argument));
  linear.writeAddresses(bufferBlock, addresses);
}

export const tasksOf = ({ grid }: Launch): number =>
  grid.reduce((product, extent) => product * extent, 1);

/** Whether workers take part. */
const isShared = ({ pool }: Surroundings, command: Launch): boolean =>
  pool !== undefined && command.microseconds >= sharedMicroseconds && tasksOf(command) > 1;

/** Whether a launch is one slice of the calling thread, on memory of the device alone. */
export const isQuick = (around: Surroundings, command: Launch): boolean =>
  command.microseconds < firstMicroseconds &&
  !isShared(around, command) &&
  command.buffers.every(({ memory }) => around.linear.holds(memory));

export function* launch(around: Surroundings, command: Launch, check: Check): Job {
  const { pool, linear } = around;
  const { microseconds } = command;
  const end = tasksOf(command);
  const arrays = hostArrays(linear, command);
  if (arrays.length > 0) {
    yield* throughWindows(around, command, arrays, check);
    return;
  }
  const shares = pool !== undefined && isShared(around, command);
  const prepared = prepare(around, command, shares ? pool.threads : 1);
  place(around, command);
  if (shares) yield* together(pool, prepared, command, check);
  else yield* alone(prepared, { begin: 0, end, microseconds }, check);
}

/** How many tasks have their windows in a slot, and how many slots there are. */
function slotsOf(
  pool: Pool | undefined,
  command: Launch,
  arrays: readonly HostArray[],
): { readonly count: number; readonly slots: number } {
  const tasks = tasksOf(command);
  if (pool === undefined || command.microseconds < sharedMicroseconds) {
    return { count: tasksOfSlot(arrays, tasks, 1), slots: 1 };
  }
  const even = Math.ceil(tasks / (pool.threads * chunksPerThread));
  const count = Math.min(even, tasksOfSlot(arrays, tasks, slotsPerThread));
  const most = Math.min(mostSlots, pool.threads * slotsPerThread);
  return { count, slots: Math.min(most, Math.ceil(tasks / count)) };
}

/** Arrays of the host are copied by the calling thread alone. */
function* throughWindows(
  around: Surroundings,
  command: Launch,
  arrays: readonly HostArray[],
  check: Check,
): Job {
  const { pool, linear } = around;
  const tasks = tasksOf(command);
  const { count, slots } = slotsOf(pool, command, arrays);
  const threads = slots > 1 && pool !== undefined ? pool.threads : 1;
  const prepared = prepare(around, command, threads);
  const { module, scratch, scratchBytes } = prepared;
  const windows = new Windows(linear, command, arrays, count, slots);
  const parts = {
    windows,
    chunks: Math.ceil(tasks / count),
    part(chunk: number): Part {
      const begin = chunk * count;
      const end = Math.min(begin + count, tasks);
      const microseconds = (command.microseconds * (end - begin)) / tasks;
      return { slot: chunk % slots, begin, end, microseconds };
    },
    run(each: Part): Job {
      return alone(prepared, each, check, windows.argumentsOf(each.slot));
    },
  };
  try {
    if (threads === 1 || pool === undefined) {
      yield* inTurn(parts, check);
      return;
    }
    const ring = { slots, arguments: windows.argumentsOf(0), stride: windows.stride };
    open(pool, module, command.entry, { scratch, scratchBytes, chunk: count, tasks, ring });
    try {
      yield* inRing(pool, slots, parts, check);
    } finally {
      yield* pool.close();
    }
  } finally {
    windows.release();
  }
}

/** Tasks with their windows in a slot. */
interface Part extends Range {
  readonly slot: number;
}

interface Parts {
  readonly windows: Windows;
  readonly chunks: number;
  readonly part: (chunk: number) => Part;
  readonly run: (part: Part) => Job;
}

function* inTurn({ windows, chunks, part, run }: Parts, check: Check): Job {
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (chunk > 0) {
      yield;
      check();
    }
    const each = part(chunk);
    windows.take(each.slot, each.begin, each.end);
    yield* run(each);
    windows.give(each.slot, each.begin, each.end);
  }
}

/** Fills slots for workers, and empties them in order; runs a chunk where it would wait. */
function* inRing(
  pool: Pool,
  slots: number,
  { windows, chunks, part, run }: Parts,
  check: Check,
): Job {
  let filled = 0;
  for (let emptied = 0; emptied < chunks; ) {
    if (filled < chunks && filled - emptied < slots) {
      const { slot, begin, end } = part(filled);
      windows.take(slot, begin, end);
      filled += 1;
      pool.fill();
    } else if (pool.isDone(emptied, slots)) {
      const { slot, begin, end } = part(emptied);
      windows.give(slot, begin, end);
      emptied += 1;
    } else {
      const chunk = pool.takeFilled();
      if (chunk !== undefined) {
        yield* run(part(chunk));
        pool.finish(chunk, slots);
      } else if (!pool.await(emptied, slots)) {
        return;
      }
    }
    yield;
    check();
  }
}

function* alone(
  { run, scratch }: Prepared,
  range: Range,
  check: Check,
  at: number = bufferBlock,
): Job {
  const { end } = range;
  let slice = firstSlice(end - range.begin, range.microseconds);
  for (let begin = range.begin; begin < end; ) {
    const next = Math.min(begin + slice, end);
    const before = performance.now();
    run(at, sizesBlock, scratch, BigInt(begin), BigInt(next));
    slice = nextSlice(next - begin, performance.now() - before);
    begin = next;
    if (begin < end) {
      yield;
      check();
    }
  }
}

/** The tasks by all threads. */
function* together(pool: Pool, prepared: Prepared, command: Launch, check: Check): Job {
  const { module, scratch, scratchBytes } = prepared;
  const tasks = tasksOf(command);
  const chunk = chunkOf(tasks, pool.threads, command.microseconds);
  open(pool, module, command.entry, { scratch, scratchBytes, chunk, tasks });
  try {
    yield* share(pool, prepared, chunk, tasks, check);
  } finally {
    yield* pool.close();
  }
}

/** The calling thread's part of a launch that is open. */
function* share(
  pool: Pool,
  { run, scratch }: Prepared,
  chunk: number,
  tasks: number,
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
    readonly ring?: Ring;
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
