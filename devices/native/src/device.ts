/**
 * The CPU as a device: packed command lists go to the C runtime, short ones at once on this
 * thread, long ones on another, in the order of the calls.
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
  type Recording,
  refused,
  type Stop,
  Validity,
} from '@open-claw/core/device/contract';
import { binaryFormat, splitLibraries } from './binary.js';
import { callNow, runOf } from './call.js';
import {
  type EntryPoint,
  type Handles,
  type Packed,
  type Piece,
  packCommands,
  packPieces,
} from './commands.js';
import {
  addressIn,
  entryIn,
  NativeMemory,
  NativeModule,
  NativeRecording,
  plainCommands,
} from './handles.js';
import { LargePages, mayShrink } from './large-pages.js';
import { lineArray } from './line-array.js';
import { freeBytes } from './machine.js';
import type { DeviceOptions } from './options.js';
import { isShort, learnPace } from './pace.js';
import { reasonOf } from './reasons.js';
import type { Address } from './runtime.js';

/** Copies up to this run on the caller's thread, well below a millisecond. */
const inlineBytes = 2 ** 20;

/** Milliseconds without a turn of the event loop. */
const longestHold = 4;

/** A word that the runtime looks at between chunks; shared memory never moves. */
const newFlag = (): Int32Array => new Int32Array(new SharedArrayBuffer(64));
const neverStopped = newFlag();

export class NativeDevice implements Device {
  /** Never settles: what ends a CPU ends this process too. */
  readonly lost: Promise<Lost> = new Promise(() => {});
  private readonly options: DeviceOptions;
  private readonly live = new Set<NativeMemory | NativeModule>();
  private readonly handles: Handles;
  private allocated = 0;
  /** Memories and modules freed so far. */
  private frees = 0;
  private closed = false;
  private pending = 0;
  private yielded = performance.now();
  private tail: Promise<void> = Promise.resolve();
  private failed: OpenClawError | undefined;
  private times: BigInt64Array[] = [];
  private readonly pages = new LargePages();
  private readonly validity = new Validity();

  constructor(options: DeviceOptions) {
    this.options = options;
    this.handles = {
      addressOf: (memory, offset, bytes) => addressIn(this, memory, offset, bytes),
      entryOf: (module, name) => entryIn(this, module, name),
    };
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    const limit = this.options.target.memoryBytes - this.allocated;
    const free = Math.max(0, Math.min(freeBytes(), limit));
    const address = bytes <= free ? this.options.runtime.allocate(bytes) : 0;
    if (address === 0) {
      const options = { kind: 'transient', retry: 'smaller' } as const;
      throw failure('OC-DEVICE-01', { asked: bytes, free }, options);
    }
    const memory = new NativeMemory(this, address, bytes);
    this.allocated += bytes;
    this.live.add(memory);
    return memory;
  }

  free(handle: Memory | Module): void {
    this.enqueue(
      () => this.release(handle),
      async () => this.release(handle),
    );
  }

  /** Kernels ask for no more than the alignment of an element, which every array has. */
  wrap(bytes: Uint8Array): Memory | undefined {
    this.checkOpen();
    if (bytes.byteLength === 0 || mayShrink(bytes)) return undefined;
    const { runtime } = this.options;
    runtime.largePages(bytes);
    if (this.pages.isDue(bytes)) this.enqueue(undefined, () => runtime.collapseAside(bytes));
    const memory = new NativeMemory(this, runtime.addressOf(bytes), bytes.byteLength);
    memory.held = bytes;
    this.live.add(memory);
    return memory;
  }

  newArray(bytes: number): Uint8Array<ArrayBuffer> {
    return lineArray(bytes, this.options.runtime.addressOf);
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const address = this.handles.addressOf(to, offset, bytes.byteLength);
    const range = { memory: to, offset, bytes: bytes.byteLength };
    await this.transfer(address, bytes, bytes.byteLength, () => this.validity.restore(range));
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const address = this.handles.addressOf(from, offset, into.byteLength);
    let problem: Error | undefined;
    const range = { memory: from, offset, bytes: into.byteLength };
    await this.transfer(into, address, into.byteLength, () => {
      problem = this.validity.problemOf(range);
      if (problem !== undefined) into.fill(0);
    });
    this.report();
    if (problem !== undefined) throw problem;
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    const { runtime, cache, target } = this.options;
    if (binary.format !== binaryFormat || binary.target !== target.id) {
      const what = `a binary of ${binary.format} for ${binary.target}`;
      throw refused(what, `this device loads ${binaryFormat} for ${target.id}`);
    }
    const paths = splitLibraries(binary.bytes).map((part) => cache.fileOf(part));
    const handles = paths.map((path) => runtime.open(path));
    const points = new Map<string, EntryPoint>();
    for (const entry of binary.entries) {
      const address = handles.map((h) => runtime.symbol(h, entry.name)).find((a) => a !== 0);
      if (address === undefined) throw internal(`kernel ${entry.name} is not in its library`);
      points.set(entry.name, {
        address,
        scratchBytes: entry.scratchBytes,
        buffers: entry.buffers.length,
        sizes: entry.sizes.length,
        pace: { rate: undefined, estimate: 0 },
      });
    }
    const module = new NativeModule(this, binary.entries, points, handles);
    this.live.add(module);
    return module;
  }

  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    const pieces = this.piecesOf(commands);
    if (pieces instanceof Error) {
      this.skip(commands, pieces);
      return;
    }
    const until = stop.timeLimit === undefined ? undefined : performance.now() + stop.timeLimit;
    const flag = stop.signal === undefined ? neverStopped : newFlag();
    const abort = (): void => void Atomics.store(flag, 0, 1);
    if (stop.signal?.aborted === true) abort();
    const { runtime, threads } = this.options;
    const runs = pieces.map((piece) => ({ piece, run: runOf(piece.packed, flag, threads) }));
    const limitNow = (): number =>
      until === undefined ? 0 : Math.max(1, Math.round((until - performance.now()) * 1e6));
    this.times = [];
    const now = (): void => {
      if (!this.admit(commands)) return;
      for (const { piece, run } of runs) {
        const code = runtime.run({ ...run, limit: limitNow() });
        if (!this.finish(piece, run.times, code, stop, commands)) return;
      }
    };
    const later = async (): Promise<void> => {
      stop.signal?.addEventListener('abort', abort);
      try {
        if (!this.admit(commands)) return;
        for (const { piece, run } of runs) {
          const code = await runtime.runAside({ ...run, limit: limitNow() });
          if (!this.finish(piece, run.times, code, stop, commands)) return;
        }
      } finally {
        stop.signal?.removeEventListener('abort', abort);
      }
    };
    // A signal that fires while work waits in the queue must be seen too.
    if (stop.signal !== undefined && !stop.signal.aborted && this.pending > 0) {
      stop.signal.addEventListener('abort', abort);
    }
    this.enqueue(isShort(pieces.map(({ packed }) => packed)) ? now : undefined, later);
  }

  async sync(): Promise<void> {
    this.checkOpen();
    await this.tail;
    await this.yieldTurn();
    this.report();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.tail;
    for (const handle of [...this.live]) this.release(handle);
  }

  async record(commands: readonly Command[]): Promise<Recording> {
    this.checkOpen();
    const packed = packCommands(commands, this.handles, this.options.threads);
    const run = runOf(packed, neverStopped, this.options.threads);
    return new NativeRecording(this, packed, commands, run, this.frees);
  }

  call(of: Recording, places: readonly MemoryArgument[], data: readonly Uint8Array[]): boolean {
    const own = this.recordingOf(of);
    if (this.closed || this.pending > 0 || !this.validity.isWhole) return false;
    if (!isShort([own.packed])) return false;
    const { addressOf } = this.handles;
    const code = callNow(own, places, data, { runtime: this.options.runtime, addressOf });
    if (code === 0) {
      learnPace(own.packed, own.run.times);
      return true;
    }
    const error = reasonOf(code % 8, Math.floor(code / 8), {});
    this.spoil(own.list, error);
    throw error;
  }

  async time(): Promise<{ readonly nanoseconds: readonly number[]; readonly clock: 'host' }> {
    await this.tail;
    const nanoseconds = this.times.flatMap((times) => Array.from(times, Number));
    return { nanoseconds, clock: 'host' };
  }

  async status(): Promise<{ readonly freeBytes: number }> {
    return { freeBytes: freeBytes() };
  }

  /** Packed commands; a wrong handle is a failure. */
  private piecesOf(commands: readonly Command[]): readonly Piece[] | OpenClawError {
    try {
      const packedOf = (recording: Recording): Packed => this.recordingOf(recording).packed;
      return packPieces(commands, this.handles, this.options.threads, packedOf);
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failed ??= error;
      return error;
    }
  }

  private recordingOf(recording: Recording): NativeRecording {
    if (!(recording instanceof NativeRecording && recording.owner === this)) {
      throw failure('OC-DEVICE-03', { reason: 'a recording of another device' });
    }
    if (recording.isWhole(this.frees)) return recording;
    throw failure('OC-DEVICE-03', { reason: 'a recording of what is freed' });
  }

  /** Takes the result of a run; false where it failed. */
  private finish(
    piece: Piece,
    times: BigInt64Array,
    code: number,
    stop: Stop,
    commands: readonly Command[],
  ): boolean {
    this.times.push(times.subarray(0, piece.packed.count));
    if (code === 0) learnPace(piece.packed, times);
    if (code === 0) return true;
    const command = piece.first + (piece.whole ? 0 : Math.floor(code / 8));
    const error = reasonOf(code % 8, command, stop);
    this.failed ??= error;
    this.spoil(commands.slice(command), error);
    return false;
  }

  /** Whether all that the commands read is valid; where it is not, they are skipped. */
  private admit(commands: readonly Command[]): boolean {
    if (this.validity.isWhole) return true;
    const list = plainCommands(commands);
    try {
      for (const command of list) {
        this.validity.check(command);
        // It is about to be written; a failure spoils it again.
        this.validity.written(command);
      }
      return true;
    } catch (error) {
      const cause = isFailure(error) ? error : internal(String(error));
      this.failed ??= cause;
      this.spoil(list, cause);
      return false;
    }
  }

  private skip(commands: readonly Command[], error: OpenClawError): void {
    const spoil = (): void => this.spoil(commands, error);
    this.enqueue(spoil, async () => spoil());
  }

  private spoil(commands: readonly Command[], error: Error): void {
    for (const command of plainCommands(commands)) this.validity.spoiled(command, error);
  }

  /** Runs at once where nothing waits and `now` is given, else after all that waits. */
  private enqueue(now: (() => void) | undefined, later: () => Promise<void>): void {
    if (this.pending === 0 && now !== undefined) {
      now();
      return;
    }
    this.pending++;
    const work = async (): Promise<void> => {
      try {
        await later();
      } catch (error) {
        this.failed ??= isFailure(error) ? error : internal(String(error));
      } finally {
        this.pending--;
      }
    };
    this.tail = this.tail.then(work);
  }

  private async transfer(
    to: Address | Uint8Array,
    from: Address | Uint8Array,
    bytes: number,
    done: () => void,
  ): Promise<void> {
    const { runtime } = this.options;
    const small = bytes <= inlineBytes;
    const now = (): void => {
      runtime.copy(to, from, bytes);
      done();
    };
    const later = async (): Promise<void> => {
      if (small) return now();
      await runtime.copyAside(to, from, bytes);
      done();
    };
    const waits = this.pending > 0 || !small;
    this.enqueue(small ? now : undefined, later);
    if (waits) await this.tail;
  }

  /** Work that ran inline has held the event loop: many short programs must not. */
  private async yieldTurn(): Promise<void> {
    if (performance.now() - this.yielded < longestHold) return;
    await new Promise<void>((resume) => setImmediate(resume));
    this.yielded = performance.now();
  }

  private report(): void {
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  private checkOpen(): void {
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }

  private release(handle: Memory | Module): void {
    const { runtime } = this.options;
    this.frees++;
    if (handle instanceof NativeMemory && this.live.delete(handle)) {
      if (handle.held === undefined) {
        runtime.free(handle.address, handle.bytes);
        this.allocated -= handle.bytes;
      }
      this.validity.forget(handle);
      handle.held = undefined;
      handle.address = 0;
    } else if (handle instanceof NativeModule && this.live.delete(handle)) {
      for (const library of handle.handles) runtime.close(library);
      handle.handles = [];
    }
  }
}
