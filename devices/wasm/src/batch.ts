/**
 * Recordings. Launches of few microseconds in a row are one: their arguments lie in the linear
 * memory from then on, so that a replay does nothing but call kernels.
 */
import type { Command, Recording } from '@open-claw/core/device/contract';
import { isFailure } from '@open-claw/core/device/contract';
import { estimate, type Launch } from './commands.js';
import { entryOf, isQuick, type Surroundings, tasksOf } from './launch.js';
import { type EntryFunction, type WasmMemory, WasmModule } from './memory.js';
import type { Job } from './queue.js';

/** A launch that is ready to be called. */
interface Call {
  readonly module: WasmModule;
  readonly run: EntryFunction;
  /** Addresses of its arguments. */
  readonly buffers: number;
  readonly sizes: number;
  readonly tasks: bigint;
  readonly microseconds: number;
}

/** Estimated microseconds between two looks at the clock. */
const sliceMicroseconds = 100;
const bytesOfSize = 8;
/** Longest time within the caller's own call, as long as a turn of the queue. */
const shortMilliseconds = 3;

export class Batch {
  readonly commands: readonly Launch[];
  /** An estimate for all of them. */
  readonly microseconds: number;
  private readonly around: Surroundings;
  private readonly calls: readonly Call[];
  /** What kernels touch, and where it lay. */
  private readonly places: ReadonlyMap<WasmMemory, number>;
  private readonly scratchBytes: number;
  private readonly block: WasmMemory;

  /** Throws OC-DEVICE-01 and OC-DEVICE-03 as launches do. */
  constructor(around: Surroundings, commands: readonly Launch[]) {
    const { linear } = around;
    const bytesOfAddress = linear.isWide ? 8 : 4;
    // All that may be wrong is found before memory is taken.
    const entries = commands.map((command) => entryOf(linear, command));
    const addresses = commands.map(({ buffers }) =>
      buffers.map((argument) => linear.locateArgument(argument)),
    );
    const touched = commands.flatMap(({ buffers }) => buffers.map(({ memory }) => memory));
    this.places = new Map(
      touched.map((memory) => [linear.own(memory), linear.locate(memory, 0, 0)] as const),
    );
    this.scratchBytes = entries.reduce((most, entry) => Math.max(most, entry.scratchBytes), 0);
    const blocks = commands.map(({ buffers, sizes }) => ({
      buffers: Math.ceil((buffers.length * bytesOfAddress) / bytesOfSize) * bytesOfSize,
      sizes: sizes.length * bytesOfSize,
    }));
    const bytes = blocks.reduce((sum, block) => sum + block.buffers + block.sizes, 0);
    const found = linear.allocate(Math.max(bytes, bytesOfSize));
    if (found === undefined) throw linear.outOfMemory(bytes);
    this.around = around;
    this.commands = commands;
    this.microseconds = commands.reduce((sum, command) => sum + command.microseconds, 0);
    this.block = found.handle;
    let address = linear.locate(this.block, 0, bytes);
    this.calls = commands.map((command, i) => {
      const { module, run } = entries[i] as (typeof entries)[number];
      const [buffers, sizes] = [address, address + (blocks[i]?.buffers ?? 0)];
      address = sizes + (blocks[i]?.sizes ?? 0);
      linear.writeAddresses(buffers, addresses[i] as readonly number[]);
      linear.writeSizes(sizes, command.sizes);
      const { microseconds } = command;
      return { module, run, buffers, sizes, tasks: BigInt(tasksOf(command)), microseconds };
    });
  }

  /** Whether all that it needs is valid and lies where it lay. */
  get isReady(): boolean {
    if (this.block.address === undefined) return false;
    for (const [memory, address] of this.places) {
      if (memory.address !== address || memory.poison.length > 0) return false;
    }
    return this.calls.every(({ module }) => module.functions !== undefined);
  }

  /** Calls the kernels one after the other; `began` is told the number of each. */
  *run(check: () => void, began: (at: number) => void): Job {
    const scratch = this.around.scratch.reach(this.scratchBytes);
    let since = 0;
    for (const [at, { run, buffers, sizes, tasks, microseconds }] of this.calls.entries()) {
      began(at);
      if (since > sliceMicroseconds) {
        since = 0;
        yield;
        check();
      }
      since += microseconds;
      run(buffers, sizes, scratch, 0n, tasks);
    }
  }

  /** A time for each launch, by what each was thought to take. */
  sharesOf(total: number): readonly number[] {
    const estimates = this.calls.map(({ microseconds }) => Math.max(microseconds, 1));
    const sum = estimates.reduce((a, b) => a + b, 0);
    return estimates.map((estimate) => (total * estimate) / sum);
  }

  release(): void {
    this.around.linear.release(this.block);
  }
}

/** Adds commands to `made`, with quick launches in a row as one. Throws as Batch does. */
function join(around: Surroundings, commands: readonly Command[], made: (Command | Batch)[]): void {
  let quick: Launch[] = [];
  const close = (): void => {
    if (quick.length > 0) made.push(new Batch(around, quick));
    quick = [];
  };
  for (const command of commands) {
    if (command.kind === 'launch' && isQuick(around, command)) {
      quick.push(command);
      continue;
    }
    close();
    made.push(command);
  }
  close();
}

/** Commands without replays, with quick launches joined where they can be prepared. */
export class WasmRecording implements Recording {
  readonly commands: number;
  readonly owner: object;
  readonly items: readonly (Command | Batch)[];
  readonly microseconds: number;

  constructor(around: Surroundings, commands: readonly Command[]) {
    this.owner = around.linear;
    this.commands = commands.length;
    this.microseconds = commands.reduce((sum, command) => sum + estimate(command), 0);
    this.items = itemsOf(around, commands);
  }

  /** Whether all its kernels were seen to take a short time together. */
  get isShort(): boolean {
    let milliseconds = 0;
    for (const item of this.items) {
      if (item instanceof Batch) milliseconds += item.microseconds / 1000;
      else if (item.kind === 'launch' && item.module instanceof WasmModule) {
        const rate = item.module.rates.get(item.entry) ?? Number.POSITIVE_INFINITY;
        milliseconds += rate * estimate(item);
      } else milliseconds += estimate(item) / 1000;
    }
    return milliseconds < shortMilliseconds;
  }

  release(): void {
    for (const item of this.items) if (item instanceof Batch) item.release();
  }
}

/** What is wrong with a launch is said when it runs. */
function itemsOf(around: Surroundings, commands: readonly Command[]): readonly (Command | Batch)[] {
  const made: (Command | Batch)[] = [];
  try {
    join(around, commands, made);
    return made;
  } catch (error) {
    for (const item of made) if (item instanceof Batch) item.release();
    if (isFailure(error)) return commands;
    throw error;
  }
}

/** Takes what a launch took. */
export function learnRate(command: Command, milliseconds: number): void {
  if (command.kind !== 'launch' || !(command.module instanceof WasmModule)) return;
  command.module.rates.set(command.entry, milliseconds / Math.max(estimate(command), 1));
}
