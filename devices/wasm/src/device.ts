/**
 * The WebAssembly device: one linear memory, kernels that run on the caller's thread in slices and
 * on workers. Gives the contract's Device.
 */
import type {
  Binary,
  Command,
  Device,
  Lost,
  Memory,
  MemoryArgument,
  Module,
  Recording,
  Stop,
} from '@open-claw/core/device/contract';
import { failure, internal, isFailure, refused } from '@open-claw/core/device/contract';
import { Batch, learnRate, WasmRecording } from './batch.js';
import { consumed, estimate, written } from './commands.js';
import { moduleOf } from './compile.js';
import { copyBytes } from './copy.js';
import { type Check, checkOf, launch, type Surroundings } from './launch.js';
import {
  Block,
  bufferBlock,
  entryFunctions,
  LinearMemory,
  type ModulePlace,
  sizesBlock,
  WasmMemory,
  WasmModule,
} from './memory.js';
import { copy, copySlice, fill } from './moves.js';
import { healed, poisoned, poisonIn } from './poison.js';
import { Pool } from './pool.js';
import { type Job, once, Queue, Stopwatch, settling } from './queue.js';
import type { Threads } from './threads.js';

/** Work below this estimate in microseconds runs inside of the caller's call. */
const inlineMicroseconds = 100;

export class WasmDevice implements Device {
  readonly lost: Promise<Lost> = new Promise(() => {});
  private readonly linear: LinearMemory;
  private readonly queue = new Queue();
  private readonly targets: readonly string[];
  private readonly pool: Pool | undefined;
  private readonly around: Surroundings;
  /** Slots of freed modules, and how many were ever given. */
  private readonly freeSlots: number[] = [];
  private slots = 0;
  private versions = 0;
  private closed = false;
  /** The first failure that no read or sync has reported. */
  private failed: Error | undefined;
  private nanoseconds: readonly number[] = [];

  /**
   * `targets` names the rows whose binaries this engine runs; with `threads` above 1 the host
   * starts workers; `wide` where the rows have addresses of 64 bits.
   */
  constructor(
    memoryBytes: number,
    targets: readonly string[],
    threads = 1,
    host: Threads | undefined = undefined,
    wide = false,
  ) {
    const isShared = threads > 1 && host !== undefined;
    this.linear = new LinearMemory(memoryBytes, isShared, wide);
    this.targets = targets;
    const blocks = { buffers: bufferBlock, sizes: sizesBlock };
    this.pool = isShared ? new Pool(this.linear.memory, host, threads, blocks, wide) : undefined;
    const scratch = new Block(this.linear);
    this.around = { linear: this.linear, pool: this.pool, scratch };
  }

  lend(bytes: Uint8Array): Memory {
    this.checkOpen();
    return new WasmMemory(this.linear, bytes.byteLength, bytes);
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    let found = this.linear.allocate(bytes);
    if (found === undefined) {
      // Frees that wait behind submitted work may make room.
      await this.queue.drained();
      found = this.linear.allocate(bytes);
    }
    if (found === undefined) throw this.linear.outOfMemory(bytes);
    const { handle, dirty } = found;
    const start = this.linear.locate(handle, 0, bytes);
    if (dirty > 0) await this.enqueue(fill(this.linear, start, dirty, 0), dirty);
    return handle;
  }

  free(handle: Memory | Module | Recording): void {
    if (this.closed) return;
    const release = (): void => {
      if (handle instanceof WasmMemory && handle.owner === this.linear) this.linear.release(handle);
      if (handle instanceof WasmModule && handle.owner === this.linear) this.unload(handle);
      if (handle instanceof WasmRecording && handle.owner === this.linear) handle.release();
    };
    this.queue.add(once(release), true);
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    await this.enqueue(this.writeJob(to, offset, bytes), bytes.byteLength);
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    await this.enqueue(this.readJob(from, offset, into), into.byteLength);
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    if (binary.format !== 'wasm' || !this.targets.includes(binary.target)) {
      const what = `a binary of format ${binary.format} for ${binary.target}`;
      throw refused(what, `this engine runs wasm for ${this.targets.join(', ')}`);
    }
    const { bytes, module } = await moduleOf(binary.bytes, this.pool !== undefined);
    const imports = { env: { memory: this.linear.memory } };
    const { exports } = await WebAssembly.instantiate(module, imports);
    const functions = entryFunctions(exports, this.linear.isWide);
    const place = this.pool === undefined ? undefined : await this.placeOf(bytes, module);
    return new WasmModule(this.linear, binary.entries, functions, place);
  }

  /** Puts a module's bytes where workers read them. */
  private async placeOf(bytes: Uint8Array, module: WebAssembly.Module): Promise<ModulePlace> {
    const found = this.linear.allocate(bytes.byteLength);
    if (found === undefined) throw this.linear.outOfMemory(bytes.byteLength);
    const code = found.handle;
    this.linear.put(this.linear.locate(code, 0, bytes.byteLength), bytes);
    const names = WebAssembly.Module.exports(module).map(({ name }) => name);
    const slot = this.freeSlots.pop() ?? this.slots++;
    return { slot, version: ++this.versions, code, names };
  }

  private unload(module: WasmModule): void {
    if (module.functions === undefined) return;
    module.functions = undefined;
    if (module.place === undefined) return;
    this.linear.release(module.place.code);
    this.freeSlots.push(module.place.slot);
  }

  async record(commands: readonly Command[]): Promise<Recording> {
    this.checkOpen();
    return new WasmRecording(this.around, this.plain(commands).flatMap(commandsOf));
  }

  /** Short recordings that work on valid data, while nothing waits. */
  call(of: Recording, places: readonly MemoryArgument[], data: readonly Uint8Array[]): boolean {
    const recording = this.recordingOf(of);
    if (this.closed || !this.queue.isIdle || this.failed !== undefined) return false;
    const [batch, more] = recording.items;
    const isQuick = recording.microseconds < inlineMicroseconds && more === undefined;
    if (!(isQuick && batch instanceof Batch)) return this.callLong(recording, places, data);
    if (!batch.isReady) return false;
    this.move('read', places, data);
    let at = 0;
    const began = (number: number): void => {
      at = number;
    };
    try {
      for (const _ of batch.run(() => {}, began));
    } catch (error) {
      const reason = isFailure(error) ? error : commandFailure(at, error);
      for (const each of batch.commands) {
        for (const argument of written(each)) this.mark(argument, reason);
      }
      throw reason;
    }
    this.move('write', places, data);
    return true;
  }

  /** All slices at once; workers would share what is longer. */
  private callLong(
    recording: WasmRecording,
    places: readonly MemoryArgument[],
    data: readonly Uint8Array[],
  ): boolean {
    if (this.pool !== undefined || !recording.isShort) return false;
    if (places.some(({ memory }) => this.linear.own(memory).poison.length > 0)) return false;
    this.move('read', places, data);
    for (const _ of this.run(recording.items, () => {}));
    this.report();
    this.move('write', places, data);
    return true;
  }

  /** Data into the places of one access, or out of those of the other. */
  private move(
    wanted: MemoryArgument['access'],
    places: readonly MemoryArgument[],
    data: readonly Uint8Array[],
  ): void {
    for (const [i, place] of places.entries()) {
      const array = data[i] as Uint8Array;
      if (place.access !== wanted) continue;
      if (array.byteLength !== place.bytes) throw internal('data of another length than its place');
      const start = this.linear.locateArgument(place);
      if (wanted === 'read') this.linear.put(start, array);
      else copyBytes(array, 0, this.linear.at(start, place.bytes));
    }
  }

  private recordingOf(recording: Recording): WasmRecording {
    if (recording instanceof WasmRecording && recording.owner === this.linear) return recording;
    throw failure('OC-DEVICE-03', { reason: 'a recording of another device' });
  }

  /** Commands with what recordings hold in their place. */
  private plain(commands: readonly Command[]): readonly (Command | Batch)[] {
    return commands.flatMap((command) =>
      command.kind === 'replay' ? this.recordingOf(command.recording).items : [command],
    );
  }

  submit(list: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    let items: readonly (Command | Batch)[] = [];
    try {
      items = this.plain(list);
    } catch (error) {
      this.failed ??= error as Error;
    }
    const small = items.reduce(
      (sum, item) => sum + (item instanceof Batch ? item.microseconds : estimate(item)),
      0,
    );
    this.queue.add(this.run(items, checkOf(stop)), small < inlineMicroseconds);
  }

  async sync(): Promise<void> {
    this.checkOpen();
    const report = once(() => this.report());
    await new Promise<void>((resolve, reject) => {
      this.queue.add(settling(report, resolve, reject), !this.queue.isOverdue);
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.queue.drained();
    await this.pool?.end();
  }

  async time(): Promise<{ readonly nanoseconds: readonly number[]; readonly clock: 'host' }> {
    await this.queue.drained();
    return { nanoseconds: this.nanoseconds, clock: 'host' };
  }

  async status(): Promise<{ readonly freeBytes: number }> {
    return { freeBytes: this.linear.freeBytes };
  }

  private checkOpen(): void {
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }

  /** Runs a job in its turn; settles as it ends. */
  private enqueue(job: Job, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.queue.add(settling(job, resolve, reject), bytes < copySlice);
    });
  }

  private report(): void {
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  private *writeJob(to: Memory, offset: number, bytes: Uint8Array): Job {
    const start = this.linear.locate(to, offset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += copySlice) {
      if (at > 0) yield;
      this.linear.put(start + at, bytes.subarray(at, at + copySlice));
    }
    const memory = this.linear.own(to);
    memory.poison = healed(memory.poison, offset, offset + bytes.byteLength);
  }

  private *readJob(from: Memory, offset: number, into: Uint8Array): Job {
    this.report();
    const bytes = into.byteLength;
    const start = this.linear.locate(from, offset, bytes);
    const error = poisonIn(this.linear.own(from).poison, offset, offset + bytes);
    if (error !== undefined) throw error;
    for (let at = 0; at < bytes; at += copySlice) {
      if (at > 0) yield;
      const end = Math.min(at + copySlice, bytes);
      copyBytes(into, at, this.linear.at(start + at, end - at));
    }
  }

  /** Runs commands; after a failure the rest is skipped and what they write is invalid. */
  private *run(items: readonly (Command | Batch)[], check: Check): Job {
    const nanoseconds: number[] = [];
    this.nanoseconds = nanoseconds;
    let stopped: Error | undefined;
    for (const [i, item] of items.entries()) {
      if (i > 0) yield;
      const isWhole = item instanceof Batch && stopped === undefined && item.isReady;
      const parts = isWhole ? [item] : commandsOf(item);
      for (const [number, part] of parts.entries()) {
        if (number > 0) yield;
        stopped = yield* this.part(part, check, nanoseconds, stopped);
      }
    }
  }

  /** Runs a command or some recorded ones, unless it is stopped; gives what stops the next. */
  private *part(
    part: Command | Batch,
    check: Check,
    nanoseconds: number[],
    stopped: Error | undefined,
  ): Generator<void, Error | undefined, void> {
    const commands = commandsOf(part);
    const work = new Stopwatch();
    let reason = stopped;
    let at = 0;
    const began = (number: number): void => {
      at = number;
    };
    try {
      if (reason === undefined) {
        check();
        const isBatch = part instanceof Batch;
        yield* work.measure(isBatch ? part.run(check, began) : this.command(part, check));
        // What a batch works on is valid.
        if (!isBatch) for (const argument of written(part)) this.mark(argument, undefined);
        if (!isBatch) learnRate(part, work.milliseconds);
      }
    } catch (error) {
      reason = isFailure(error) ? error : commandFailure(nanoseconds.length + at, error);
      this.failed ??= reason;
    }
    if (reason !== undefined) {
      for (const argument of commands.slice(at).flatMap(written)) this.mark(argument, reason);
    }
    const total = work.milliseconds * 1e6;
    nanoseconds.push(...(part instanceof Batch ? part.sharesOf(total) : [total]));
    return reason;
  }

  private *command(command: Command, check: Check): Job {
    for (const argument of consumed(command)) this.checkValid(argument);
    switch (command.kind) {
      case 'launch':
        yield* launch(this.around, command, check);
        return;
      case 'copy':
        yield* copy(this.linear, command.from, command.to);
        return;
      case 'fill':
        yield* fill(
          this.linear,
          this.linear.locateArgument(command.to),
          command.to.bytes,
          command.byte,
        );
        return;
      default:
        throw refused(`command ${command.kind}`, 'the WebAssembly device has no such command');
    }
  }

  private checkValid({ memory, offset, bytes }: MemoryArgument): void {
    const error = poisonIn(this.linear.own(memory).poison, offset, offset + bytes);
    if (error !== undefined) throw error;
  }

  private mark({ memory, offset, bytes }: MemoryArgument, error: Error | undefined): void {
    if (!(memory instanceof WasmMemory && memory.owner === this.linear)) return;
    const end = offset + bytes;
    const { poison } = memory;
    memory.poison =
      error === undefined ? healed(poison, offset, end) : poisoned(poison, offset, end, error);
  }
}

const commandsOf = (item: Command | Batch): readonly Command[] =>
  item instanceof Batch ? item.commands : [item];

const commandFailure = (at: number, error: unknown): Error =>
  failure('OC-DEVICE-02', { command: at, reason: String(error) }, { cause: error });
