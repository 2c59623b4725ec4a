/** An open WebGPU device. Gives the contract's Device; the queue keeps the order of work. */
import type {
  Binary,
  Command,
  Device,
  Lost,
  Memory,
  MemoryArgument,
  Module,
  OpenClawError,
  Stop,
  Target,
} from '@open-claw/core/device';
import { failure, isFailure, refused } from '@open-claw/core/device';
import { loadMoveKernel } from './bytes.js';
import { BatchEncoder, type Shared, Uniforms } from './encoder.js';
import {
  type Batch,
  commandFailure,
  errorScopes,
  namesOf,
  outOfMemory,
  verdictOf,
} from './failures.js';
import { GpuMemory, invalid, MemoryPool, mapForRead, usage } from './memory.js';
import { GpuModule, loadModule } from './module.js';
import { softwareTarget, targets } from './target.js';
import { nextTurn } from './turn.js';

/** Bytes that are copied on the caller's thread between two turns of the event loop. */
const copySlice = 4 * 2 ** 20;

/** Estimated microseconds of launches between two looks at the clock, where there is a limit. */
const batchMicroseconds = 2000;

/** A submission whose errors are not known yet. */
interface Verdict {
  readonly errors: Promise<readonly (GPUError | null)[]>;
  readonly batch: Batch;
  readonly written: readonly MemoryArgument[];
}

/** Bytes on their way to the caller. */
interface Reading {
  readonly staging: GPUBuffer;
  /** Bytes before the first that was asked for. */
  readonly skip: number;
  /** What WebGPU says of the staging buffer. */
  readonly denied: Promise<GPUError | null>;
  readonly error: Error | undefined;
}

export class WebGpuDevice implements Device {
  readonly lost: Promise<Lost>;
  private readonly gpu: GPUDevice;
  private readonly pool: MemoryPool;
  private readonly shared: Promise<Shared>;
  private closed = false;
  private gone: OpenClawError | undefined;
  /** The last piece of work; everything new waits for it. */
  private tail: Promise<unknown> = Promise.resolve();
  private verdicts: Verdict[] = [];
  /** The first failure that no read or sync has reported. */
  private failed: Error | undefined;

  /** `memoryBytes` is the limit of all memory that is not freed. */
  constructor(gpu: GPUDevice, memoryBytes: number) {
    this.gpu = gpu;
    this.pool = new MemoryPool(gpu, memoryBytes);
    const uniforms = new Uniforms(gpu);
    this.shared = loadMoveKernel(gpu).then((move) => ({ gpu, pool: this.pool, move, uniforms }));
    this.shared.catch(() => {});
    gpu.addEventListener('uncapturederror', ({ error }) => {
      this.failed ??=
        error.constructor.name === 'GPUOutOfMemoryError'
          ? outOfMemory(0, this.pool.freeBytes)
          : commandFailure({ first: 0, names: '' }, error.message);
    });
    this.lost = new Promise((resolve) => {
      void gpu.lost.then(({ reason, message }) => {
        if (this.closed) return;
        const text = message === '' ? reason : message;
        const options = { kind: 'transient', retry: 'reopen' } as const;
        this.gone = failure('OC-DEVICE-09', { reason: text }, options);
        resolve({ code: 'OC-DEVICE-09', reason: text, retry: 'reopen' });
      });
    });
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    let memory = await this.pool.allocate(bytes);
    if (memory === undefined) {
      // Frees that wait behind submitted work may make room.
      await this.enqueue(async () => {});
      memory = await this.pool.allocate(bytes);
    }
    this.checkOpen();
    if (memory !== undefined) return memory;
    throw outOfMemory(bytes, this.pool.freeBytes);
  }

  free(handle: Memory | Module): void {
    if (this.closed) return;
    void this.enqueue(async () => {
      if (handle instanceof GpuMemory) this.pool.release(handle);
      if (handle instanceof GpuModule) handle.kernels = undefined;
    });
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    await this.enqueue(() => this.writeNow(to, offset, bytes));
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const begun = await this.enqueue(async () => this.beginRead(from, offset, into.byteLength));
    try {
      const denied = await this.orLost(begun.denied);
      await this.settle();
      this.report();
      if (denied !== null) throw outOfMemory(begun.staging.size, this.pool.freeBytes);
      const error = begun.error ?? this.pool.own(from).errorIn(offset, into.byteLength);
      if (error !== undefined) throw error;
      await this.orLost(begun.staging.mapAsync(mapForRead));
      const mapped = new Uint8Array(begun.staging.getMappedRange(), begun.skip);
      for (let at = 0; at < into.byteLength; at += copySlice) {
        if (at > 0) await nextTurn();
        into.set(mapped.subarray(at, Math.min(at + copySlice, into.byteLength)), at);
      }
    } finally {
      begun.staging.destroy();
    }
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    if (binary.format !== 'wgsl' || !targets.some(({ id }) => id === binary.target)) {
      const what = `a binary of format ${binary.format} for ${binary.target}`;
      throw refused(what, `this device runs wgsl for ${targets.map(({ id }) => id).join(', ')}`);
    }
    return this.orLost(loadModule(this.gpu, binary, isScalar(binary.target)));
  }

  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    const check = checkOf(stop);
    const isLimited = stop.signal !== undefined || stop.timeLimit !== undefined;
    void this.enqueue(async () => {
      const shared = await this.shared;
      for (let first = 0; first < commands.length; ) {
        const end = isLimited ? endOfBatch(commands, first) : commands.length;
        const batch = commands.slice(first, end);
        try {
          check();
        } catch (error) {
          this.fail(error as Error, commands.slice(first));
          return;
        }
        if (!this.encode(shared, batch, first)) {
          this.fail(this.failed as Error, commands.slice(end));
          return;
        }
        if (isLimited && end < commands.length) await this.gpu.queue.onSubmittedWorkDone();
        first = end;
      }
    }).catch((error) => {
      this.fail(error, commands);
    });
  }

  async sync(): Promise<void> {
    this.checkOpen();
    await this.enqueue(async () => {});
    await this.settle();
    await this.orLost(this.gpu.queue.onSubmittedWorkDone());
    this.report();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.tail;
    await this.settle();
    this.pool.clear();
    this.gpu.destroy();
  }

  async status(): Promise<{ readonly freeBytes: number }> {
    return { freeBytes: this.pool.freeBytes };
  }

  private checkOpen(): void {
    if (this.gone !== undefined) throw this.gone;
    if (this.closed) throw invalid('the device is closed');
  }

  private enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work);
    this.tail = result.catch(() => {});
    return result;
  }

  /** What the work gives; the loss of the device where that comes first. */
  private async orLost<T>(work: Promise<T>): Promise<T> {
    try {
      const lost = this.lost.then(() => Promise.reject(this.gone));
      return await Promise.race([work, lost]);
    } catch (error) {
      // A lost device rejects its work before it says that it is lost.
      if (!isFailure(error)) await nextTurn();
      if (this.gone !== undefined) throw this.gone;
      if (isFailure(error)) throw error;
      throw commandFailure({ first: 0, names: '' }, String(error), true);
    }
  }

  private async writeNow(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    const size = bytes.byteLength;
    const buffer = this.pool.locate(to, offset, size);
    const { queue } = this.gpu;
    const isWhole = size % 4 === 0 || offset + size === to.bytes;
    if (offset % 4 !== 0 || !isWhole) {
      await this.writeOdd(to, offset, bytes);
    } else {
      const body = size - (size % 4);
      for (let at = 0; at < body; at += copySlice) {
        if (at > 0) await nextTurn();
        const length = Math.min(copySlice, body - at);
        queue.writeBuffer(buffer, offset + at, bytes as Uint8Array<ArrayBuffer>, at, length);
      }
      if (body < size) {
        const last = new Uint8Array(4);
        last.set(bytes.subarray(body));
        queue.writeBuffer(buffer, offset + body, last);
      }
    }
    this.pool.own(to).mark(offset, size, undefined);
  }

  /** Bytes that share words with others: to a memory of their own, then moved byte by byte. */
  private async writeOdd(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    const size = bytes.byteLength;
    const own = await this.pool.allocate(size);
    if (own === undefined) throw outOfMemory(size, this.pool.freeBytes);
    await this.writeNow(own, 0, bytes);
    const encoder = new BatchEncoder(await this.shared, 1);
    const from: MemoryArgument = { memory: own, offset: 0, bytes: size, access: 'read' };
    encoder.add({ kind: 'copy', from, to: { ...from, memory: to, offset, access: 'write' } });
    encoder.submit();
    this.pool.release(own);
  }

  private beginRead(from: Memory, offset: number, bytes: number): Reading {
    const buffer = this.pool.locate(from, offset, bytes);
    const skip = offset % 4;
    const size = Math.max(4, Math.ceil((skip + bytes) / 4) * 4);
    this.gpu.pushErrorScope('out-of-memory');
    const staging = this.gpu.createBuffer({ size, usage: usage.mapRead | usage.copyTarget });
    const denied = this.gpu.popErrorScope();
    denied.catch(() => {});
    if (bytes > 0) {
      const encoder = this.gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset - skip, staging, 0, size);
      this.gpu.queue.submit([encoder.finish()]);
    }
    return { staging, skip, denied, error: this.pool.own(from).errorIn(offset, bytes) };
  }

  /** One command buffer of the commands up to the first that fails; false where one did. */
  private encode(shared: Shared, commands: readonly Command[], first: number): boolean {
    const { gpu } = this;
    for (const scope of errorScopes) gpu.pushErrorScope(scope);
    const encoder = new BatchEncoder(shared, commands.length);
    let end = 0;
    let stopped: unknown;
    try {
      for (const command of commands) {
        this.checkReadable(command);
        encoder.add(command);
        end++;
      }
    } catch (error) {
      stopped = error;
    }
    const done = commands.slice(0, end).flatMap(written);
    for (const argument of done) this.mark(argument, undefined);
    encoder.submit();
    const errors = Promise.all(errorScopes.map(() => gpu.popErrorScope()));
    errors.catch(() => {});
    const { temporaryBytes } = encoder;
    const batch = { first, names: namesOf(commands), temporaryBytes };
    this.verdicts.push({ errors, batch, written: done });
    if (stopped === undefined) return true;
    const names = namesOf(commands.slice(end, end + 1));
    const error = isFailure(stopped)
      ? stopped
      : commandFailure({ first: first + end, names }, String(stopped));
    this.fail(error, commands.slice(end));
    return false;
  }

  private checkReadable(command: Command): void {
    for (const { memory, offset, bytes } of consumed(command)) {
      const error = this.pool.own(memory).errorIn(offset, bytes);
      if (error !== undefined) throw error;
    }
  }

  /** Notes a failure: what the commands would have written stays unreadable. */
  private fail(error: Error, commands: readonly Command[]): void {
    this.failed ??= error;
    for (const argument of commands.flatMap(written)) this.mark(argument, error);
  }

  private mark({ memory, offset, bytes }: MemoryArgument, error: Error | undefined): void {
    if (memory instanceof GpuMemory) memory.mark(offset, bytes, error);
  }

  /**
   * Waits for the verdicts on everything submitted so far. Once one is bad, what it and all later
   * submissions wrote is unreadable, because they may have read from it.
   */
  private async settle(): Promise<void> {
    const { verdicts } = this;
    this.verdicts = [];
    let bad: Error | undefined;
    for (const { errors, batch, written: outputs } of verdicts) {
      const caught = (await this.orLost(errors)).toReversed();
      bad ??= verdictOf(batch, caught, this.pool.freeBytes);
      if (bad === undefined) continue;
      for (const argument of outputs) this.mark(argument, bad);
    }
    this.failed ??= bad;
  }

  private report(): void {
    if (this.gone !== undefined) throw this.gone;
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }
}

/** Whether a target's kernels run a task per thread. */
const isScalar = (target: Target['id']): boolean => target === softwareTarget.id;

/** What a command writes. */
function written(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'launch' || command.kind === 'operator') {
    return command.buffers.filter(({ access }) => access !== 'read');
  }
  return command.kind === 'copy' || command.kind === 'fill' ? [command.to] : [];
}

/** What a command reads. */
function consumed(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'launch') return command.buffers.filter(({ access }) => access !== 'write');
  return command.kind === 'copy' ? [{ ...command.from, bytes: command.to.bytes }] : [];
}

/** The first command after a batch that takes about so long. */
function endOfBatch(commands: readonly Command[], first: number): number {
  let total = 0;
  for (let at = first; at < commands.length; at++) {
    const command = commands[at] as Command;
    total += command.kind === 'launch' ? command.microseconds : 1;
    if (total >= batchMicroseconds) return at + 1;
  }
  return commands.length;
}

/** Throws once the signal is aborted or the time is over. */
function checkOf({ signal, timeLimit }: Stop): () => void {
  const end = performance.now() + (timeLimit ?? Number.POSITIVE_INFINITY);
  return () => {
    if (signal?.aborted === true) throw failure('OC-DEVICE-05', {}, { cause: signal.reason });
    if (performance.now() > end) {
      throw failure('OC-DEVICE-04', { limit: timeLimit ?? 0 }, { retry: 'smaller' });
    }
  };
}
