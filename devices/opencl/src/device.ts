/**
 * A device of an OpenCL driver: calls are queued in their order; commands go to one in-order
 * queue, and nothing waits on the caller's thread.
 */
import {
  type Binary,
  type Command,
  type Device,
  failure,
  internal,
  isFailure,
  type Lost,
  type Memory,
  type MemoryArgument,
  type Module,
  type OpenClawError,
  refused,
  type Stop,
  Validity,
} from '@open-claw/core/device';
import type { Handle, Range } from './driver.js';
import { Heap, type HeapPlace } from './heap.js';
import { Loss } from './loss.js';
import { ClMemory } from './memory.js';
import {
  ClModule,
  checkArguments,
  type Kernel,
  type LoadPlace,
  loadModule,
  setArgument,
  sizeOf,
} from './module.js';
import { type Enqueue, Stream } from './stream.js';

/** Longest time in milliseconds that putting commands into the queue holds the event loop. */
const sliceMilliseconds = 3;
/** Estimated microseconds between two looks at a signal or a time limit. */
const stopMicroseconds = 2000;
/** Commands after which the queue is waited for, so that it never grows without bound. */
const mostWaiting = 512;
/** Writes up to this are copied at once, so that the caller goes on. */
const stagedBytes = 64 * 1024;

/** What a queued command is: a submitted one with its index, or a transfer of the host. */
interface Work {
  readonly command?: Command;
  readonly index: number;
  /** What the host wrote. */
  readonly written?: MemoryArgument;
}

export interface DeviceOptions extends LoadPlace, HeapPlace {
  readonly queue: Handle;
  /** Gives back what `open` took, once. */
  readonly release: () => void;
}

export class ClDeviceQueue implements Device {
  readonly lost: Promise<Lost>;
  private readonly loss = new Loss();
  private readonly options: DeviceOptions;
  private readonly stream: Stream<Work>;
  private readonly heap: Heap;
  private readonly live = new Set<ClMemory | ClModule>();
  private readonly validity = new Validity();
  private closed = false;
  private tail: Promise<void> = Promise.resolve();
  private failed: OpenClawError | undefined;
  private begun = 0;

  constructor(options: DeviceOptions) {
    this.options = options;
    this.stream = new Stream(options.driver, options.queue);
    this.heap = new Heap(options, this.loss);
    this.lost = this.loss.lost;
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    const { driver } = this.options;
    const { buffer, capacity } = this.heap.take(bytes);
    const memory = new ClMemory(this, driver, buffer, bytes);
    const range = { buffer, offset: 0, bytes: capacity };
    const code = this.clear(range, { index: -1, written: argumentOf(memory, 0, bytes) });
    if (code !== 0) throw this.heap.refuse(buffer, bytes, code);
    this.live.add(memory);
    return memory;
  }

  free(handle: Memory | Module): void {
    if (handle instanceof ClMemory && handle.owner === this) handle.isFreed = true;
    void this.enqueue(async () => this.release(handle));
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const written = argumentOf(to, offset, bytes.byteLength);
    const range = this.rangeNow(written);
    if (bytes.byteLength === 0) return;
    const staged = bytes.byteLength <= stagedBytes;
    const from = staged ? bytes.slice() : bytes;
    const { driver } = this.options;
    const done = this.enqueue(async () => {
      const call: Enqueue = (event) => driver.write(this.stream.queue, range, from, event);
      this.validity.restore(written); // Before a failure spoils it.
      this.put({ index: -1, written }, call, from);
      if (!staged) await this.settle();
    });
    if (!staged) await done;
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const wanted = argumentOf(from, offset, into.byteLength);
    const range = this.rangeNow(wanted);
    const { driver } = this.options;
    let problem: Error | undefined;
    await this.enqueue(async () => {
      // What ran before may have failed: then the memory holds nothing to be read.
      if (!this.validity.isWhole) await this.settle();
      problem = this.validity.problemOf(wanted);
      if (problem !== undefined || into.byteLength === 0) return;
      const call: Enqueue = (event) => driver.read(this.stream.queue, range, into, event);
      this.put({ index: -1 }, call, into);
      await this.settle();
      problem = this.validity.problemOf(wanted);
    });
    this.report();
    if (problem !== undefined) throw problem;
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    const module = await loadModule(this, this.options, binary);
    this.live.add(module);
    return module;
  }

  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    const limit = stop.timeLimit ?? Number.POSITIVE_INFINITY;
    const deadline = performance.now() + limit;
    const check = (command: number): void => {
      if (stop.signal?.aborted === true) {
        throw failure('OC-DEVICE-05', { command }, { cause: stop.signal.reason });
      }
      if (performance.now() > deadline) {
        throw failure('OC-DEVICE-04', { limit, command }, { retry: 'smaller' });
      }
    };
    const stoppable = stop.signal !== undefined || stop.timeLimit !== undefined;
    void this.enqueue(() => this.execute(commands, stoppable ? check : undefined));
  }

  async sync(): Promise<void> {
    this.checkOpen();
    await this.enqueue(() => this.settle());
    this.report();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.tail;
    for (const handle of [...this.live]) this.release(handle);
    this.heap.drain();
    await this.stream.close();
    this.options.release();
  }

  /** Of the commands of the last submit, in their order. */
  async time(): Promise<{ readonly nanoseconds: readonly number[]; readonly clock: 'device' }> {
    await this.enqueue(() => this.settle());
    return { nanoseconds: this.stream.times(), clock: 'device' };
  }

  async status(): Promise<{ readonly freeBytes: number }> {
    return { freeBytes: this.heap.freeBytes() };
  }

  private clear(range: Range, work: Work, byte = 0): number {
    const { driver } = this.options;
    // Wide patterns are what drivers do fast.
    const wide = range.offset % 16 === 0 && range.bytes % 16 === 0 ? 16 : 1;
    const pattern = new Uint8Array(wide).fill(byte);
    const call: Enqueue = (event) => driver.fill(this.stream.queue, range, pattern, event);
    return this.stream.put(work, call, pattern);
  }

  private async execute(
    commands: readonly Command[],
    check: ((command: number) => void) | undefined,
  ): Promise<void> {
    this.stream.keepTimes();
    let stopped: OpenClawError | undefined;
    let unseen = 0;
    for (const [index, command] of commands.entries()) {
      try {
        if (stopped === undefined) {
          await this.breathe();
          const cost = command.kind === 'launch' ? command.microseconds : 1;
          unseen += cost;
          if (unseen > stopMicroseconds && check !== undefined) {
            unseen = cost;
            await this.settleOrThrow();
          } else if (this.stream.length >= mostWaiting) await this.settleOrThrow();
          check?.(index);
          this.validity.check(command);
          await this.begin(command, index);
          this.validity.written(command);
        }
      } catch (error) {
        stopped = isFailure(error)
          ? error
          : failure('OC-DEVICE-02', { command: index, reason: String(error) }, { cause: error });
        this.failed ??= stopped;
      }
      // What a command that failed or was skipped would have written holds nothing valid.
      if (stopped !== undefined) this.validity.spoiled(command, stopped);
    }
    this.stream.flush();
  }

  private async begin(command: Command, index: number): Promise<void> {
    const { driver } = this.options;
    const { queue } = this.stream;
    const work = { command, index };
    switch (command.kind) {
      case 'launch':
        await this.launch(command, index);
        break;
      case 'fill': {
        const range = this.rangeOf(command.to);
        if (range.bytes === 0) return;
        const code = this.clear(range, work, command.byte);
        if (code !== 0) throw this.loss.failureOf(index, code);
        break;
      }
      case 'copy': {
        const from = this.rangeOf({ ...command.from, bytes: command.to.bytes });
        const to = this.rangeOf(command.to);
        if (to.bytes === 0) return;
        const apart = Math.abs(from.offset - to.offset) >= to.bytes || from.buffer !== to.buffer;
        if (!apart) throw failure('OC-DEVICE-02', { command: index, reason: 'the ranges overlap' });
        const call: Enqueue = (event) => driver.copy(queue, from, to, event);
        const code = this.stream.put(work, call);
        if (code !== 0) throw this.loss.failureOf(index, code);
        break;
      }
      default:
        throw refused(`command ${command.kind}`, 'OpenCL devices have no such command');
    }
    this.stream.keep();
  }

  private async launch(
    command: Extract<Command, { kind: 'launch' }>,
    index: number,
  ): Promise<void> {
    const { driver, target } = this.options;
    const kernel = this.kernelOf(command.module, command.entry);
    const { entry } = kernel;
    checkArguments(kernel, command.buffers.length, command.sizes.length, index);
    const tasks = command.grid.reduce((product, extent) => product * extent, 1);
    if (tasks === 0) return;
    const set = (at: number, value: Handle, type: 'i32' | 'i64'): void => {
      const code = setArgument(driver, kernel, at, value, type);
      if (code !== 0) throw this.loss.failureOf(index, code);
    };
    for (const [i, argument] of command.buffers.entries()) {
      const { buffer, offset, bytes } = this.rangeOf(argument);
      set(i, offset === 0 ? buffer : (argument.memory as ClMemory).part(offset, bytes), 'i64');
    }
    for (const [i, value] of command.sizes.entries()) {
      set(entry.buffers.length + i, value, entry.indexType);
    }
    const size = sizeOf(kernel, target, tasks);
    const work = { command, index };
    const { queue } = this.stream;
    const code = kernel.launched
      ? this.stream.put(work, (event) => driver.launch(queue, kernel.object, size, event))
      : await this.stream.putAside(work, (event) =>
          driver.launchAside(queue, kernel.object, size, event),
        );
    kernel.launched = true;
    if (code !== 0) throw this.loss.failureOf(index, code);
  }

  /** Puts what the host asked for into the queue; what goes wrong is told later. */
  private put(work: Work, call: Enqueue, held: unknown): void {
    const code = this.stream.put(work, call, held);
    if (code === 0) return;
    const error = this.loss.failureOf('transfer', code);
    this.failed ??= error;
    if (work.written !== undefined) this.spoil(work.written, error);
  }

  /** Waits for all that is queued, and notes what failed. */
  private async settle(): Promise<void> {
    const broken = await this.stream.settle();
    if (broken === undefined) return;
    const first = broken.from[0]?.index ?? -1;
    const error = this.loss.failureOf(first < 0 ? 'transfer' : first, broken.code);
    this.failed ??= error;
    for (const { command, written } of broken.from) {
      if (command !== undefined) this.validity.spoiled(command, error);
      if (written !== undefined) this.spoil(written, error);
    }
  }

  private async settleOrThrow(): Promise<void> {
    const before = this.failed;
    await this.settle();
    if (this.failed !== undefined && this.failed !== before) throw this.failed;
  }

  private spoil(to: MemoryArgument, error: Error): void {
    this.validity.spoiled({ kind: 'fill', to, byte: 0 }, error);
  }

  /** Many short commands must not hold the event loop. */
  private async breathe(): Promise<void> {
    if (performance.now() - this.begun < sliceMilliseconds) return;
    this.stream.flush();
    await new Promise<void>((resume) => setImmediate(resume));
    this.begun = performance.now();
  }

  /** Does the work after all that was asked for before; it never rejects. */
  private enqueue(work: () => Promise<void>): Promise<void> {
    this.tail = this.tail.then(async () => {
      if (this.loss.gone !== undefined) return;
      try {
        await work();
      } catch (error) {
        this.failed ??= isFailure(error) ? error : internal(String(error));
      }
    });
    return this.tail;
  }

  private report(): void {
    if (this.loss.gone !== undefined) throw this.loss.gone;
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  private checkOpen(): void {
    if (this.loss.gone !== undefined) throw this.loss.gone;
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }

  /** For calls of the host: what is freed is gone at once. */
  private rangeNow(argument: MemoryArgument): Range {
    const { memory } = argument;
    if (memory instanceof ClMemory && memory.isFreed) throw freedOrForeign();
    return this.rangeOf(argument);
  }

  private rangeOf({ memory, offset, bytes }: MemoryArgument): Range {
    if (!(memory instanceof ClMemory) || memory.owner !== this || memory.buffer === 0) {
      throw freedOrForeign();
    }
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= memory.bytes)) {
      const reason = `bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`;
      throw failure('OC-DEVICE-03', { reason });
    }
    return { buffer: memory.buffer, offset, bytes };
  }

  private kernelOf(module: Module, name: string): Kernel {
    const owned = module instanceof ClModule && module.owner === this;
    const kernel = owned ? module.kernel(name) : undefined;
    if (kernel !== undefined) return kernel;
    throw failure('OC-DEVICE-03', { reason: `no kernel ${name} in a module of this device` });
  }

  private release(handle: Memory | Module): void {
    if (handle instanceof ClMemory && this.live.delete(handle)) {
      handle.releaseParts();
      this.validity.forget(handle);
      this.heap.give(handle.buffer, handle.bytes);
      handle.buffer = 0;
    } else if (handle instanceof ClModule && this.live.delete(handle)) {
      handle.release();
    }
  }
}

const freedOrForeign = (): OpenClawError =>
  failure('OC-DEVICE-03', { reason: 'memory that is freed or of another device' });

const argumentOf = (memory: Memory, offset: number, bytes: number): MemoryArgument => ({
  memory,
  offset,
  bytes,
  access: 'readWrite',
});
