/**
 * What the parts of a running program share: the device, memory within a limit, the status word,
 * and the commands that wait to be submitted.
 */
import { failure, internal, type OpenClawError } from '../base/errors.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { LaunchStep, Program } from '../codegen/program.js';
import { failReasons } from '../kernel/lowered.js';
import type {
  AbortSignalLike,
  Command,
  Memory,
  MemoryArgument,
  Module,
  Recording,
} from './contract.js';
import type { LaunchesOnly } from './frame.js';
import type { OpenDevice } from './registry.js';
import { Replays } from './replays.js';

/** How a run may end early. */
export interface RunLimits {
  readonly signal?: AbortSignalLike;
  /** Milliseconds from the call. */
  readonly timeLimit?: number;
}

/** Time of one launch. */
export interface StepTime {
  readonly operator: string;
  readonly entry: string;
  /** Of the step that it belongs to. */
  readonly key: string;
  /** On the clock of the profile. */
  readonly start: number;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

const none: readonly never[] = [];
const noFailure = 0x7fffffff;
/** Commands of one submit; a long program is handed over in pieces. */
const mostPending = 4096;
/** Milliseconds of making commands without a pause. */
const longestBreath = 4;

export const copyCommand = (from: MemoryArgument, to: MemoryArgument, bytes: number): Command => ({
  kind: 'copy',
  from: { ...from, bytes, access: 'read' },
  to: { ...to, bytes, access: 'write' },
});

export class Session {
  readonly opened: OpenDevice;
  readonly program: Program;
  readonly module: Module | undefined;
  readonly limit: number;
  usedBytes = 0;
  peakBytes = 0;
  /** Where times go while profiling; every launch is then waited for. */
  times: StepTime[] | undefined;
  now: () => number = Date.now;
  private pending: Command[] = [];
  private writes: Promise<void>[] = [];
  private status: Memory | undefined;
  private readonly replays: Replays;
  private limits: RunLimits = {};
  private deadline = Number.POSITIVE_INFINITY;
  private lost: OpenClawError | undefined;
  private breathed = 0;

  constructor(opened: OpenDevice, program: Program, module: Module | undefined, limit: number) {
    this.opened = opened;
    this.program = program;
    this.module = module;
    this.limit = limit;
    this.replays = new Replays(opened.device);
    void opened.device.lost.then(({ reason, retry }) => {
      this.lost = failure('OC-DEVICE-09', { reason }, { kind: 'transient', retry });
    });
  }

  /** Allocates within the limit. Throws OC-MEMORY-01. */
  async allocate(bytes: number): Promise<Memory> {
    this.take(bytes);
    try {
      return await this.opened.device.allocate(bytes);
    } catch (error) {
      this.give(bytes);
      throw error;
    }
  }

  /** Counts bytes that the program holds. Throws OC-MEMORY-01 over the limit. */
  take(bytes: number): void {
    const need = this.usedBytes + bytes;
    if (need > this.limit) throw this.overLimit(need, bytes);
    this.usedBytes = need;
    this.peakBytes = Math.max(this.peakBytes, need);
  }

  give(bytes: number): void {
    this.usedBytes -= bytes;
  }

  private overLimit(need: number, largest: number): OpenClawError {
    const details = { need, limit: this.limit, largest };
    return failure('OC-MEMORY-01', details, { kind: 'refused', retry: 'smaller' });
  }

  free(memory: Memory): void {
    this.flush();
    this.opened.device.free(memory);
    this.give(memory.bytes);
  }

  begin(limits: RunLimits): void {
    this.limits = limits;
    this.pending = [];
    const { timeLimit } = limits;
    this.deadline = timeLimit === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeLimit;
    this.check();
  }

  /** Throws where the caller has aborted, the time is over or the device is gone. */
  check(): void {
    if (this.lost !== undefined) throw this.lost;
    const { signal, timeLimit = 0 } = this.limits;
    if (signal?.aborted === true) throw failure('OC-DEVICE-05', {}, { cause: signal.reason });
    if (Date.now() > this.deadline) {
      throw failure('OC-DEVICE-04', { limit: timeLimit }, { retry: 'smaller' });
    }
  }

  command(command: Command): void {
    if (this.pending.push(command) >= mostPending) this.flush();
  }

  flush(): void {
    if (this.pending.length === 0) return;
    const commands = this.pending;
    this.pending = [];
    this.check();
    const { signal } = this.limits;
    const isTimed = this.deadline < Number.POSITIVE_INFINITY;
    // A replay ends as a whole only: where it may have to stop between commands there is none.
    const mayStop = signal !== undefined || isTimed;
    this.opened.device.submit(mayStop ? commands : this.replays.of(commands), {
      ...(signal === undefined ? {} : { signal }),
      ...(isTimed ? { timeLimit: Math.max(this.deadline - Date.now(), 1) } : {}),
    });
  }

  /** Submits what is recorded. */
  repeat(commands: readonly Command[]): void {
    this.flush();
    this.check();
    this.opened.device.submit(commands);
  }

  /**
   * Replays on the caller's thread with data in and out by `places`; false where the device cannot
   * now. Throws as a run rejects; then `recover` is to come before the next one.
   */
  call(
    recording: Recording,
    { mayFail }: Pick<LaunchesOnly, 'mayFail'>,
    places: readonly MemoryArgument[] = none,
    data: readonly Uint8Array[] = none,
  ): boolean {
    const { device } = this.opened;
    if (!mayFail) return device.call?.(recording, places, data) === true;
    if (this.status === undefined) return false;
    const word = new Uint8Array(4);
    const place: MemoryArgument = { memory: this.status, offset: 0, bytes: 4, access: 'write' };
    if (device.call?.(recording, [...places, place], [...data, word]) !== true) return false;
    this.checkStatus(word);
    return true;
  }

  /** Whether a program may run without letting the caller's timers have a turn first. */
  get isRested(): boolean {
    return this.lost === undefined && this.hasBreath;
  }

  /** A clock that was set back says nothing about the last pause. */
  private get hasBreath(): boolean {
    const passed = Date.now() - this.breathed;
    return passed >= 0 && passed < longestBreath;
  }

  /** Lets the caller's timers have a turn, now and then: in long loops, and between short runs. */
  async breathe(): Promise<void> {
    if (this.hasBreath) return;
    this.flush();
    await this.opened.device.sync();
    this.breathed = Date.now();
    this.check();
  }

  copy(from: MemoryArgument, to: MemoryArgument, bytes: number): void {
    if (bytes > 0) this.command(copyCommand(from, to, bytes));
  }

  /** Writes after the commands so far; `settle` waits for all writes. */
  write(to: MemoryArgument, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.flush();
    const written = this.opened.device.write(to.memory, to.offset, bytes);
    // settle reports it; until then it must not count as unhandled.
    written.catch(() => {});
    this.writes.push(written);
  }

  /** Waits until the caller's arrays may be reused. */
  async settle(): Promise<void> {
    const writes = this.writes;
    this.writes = [];
    await allDone(writes);
  }

  /** The status word as a kernel's last argument. */
  async statusArgument(): Promise<MemoryArgument> {
    if (this.status === undefined) {
      this.status = await this.allocate(4);
      await this.opened.device.write(this.status, 0, bytesOfStatus(noFailure));
    }
    return { memory: this.status, offset: 0, bytes: 4, access: 'readWrite' };
  }

  /** Reads memory after all commands so far; rejects if a task among them failed. */
  async read(parts: readonly { from: MemoryArgument; into: Uint8Array }[]): Promise<void> {
    this.flush();
    const { device } = this.opened;
    const word = new Uint8Array(4);
    const reads: Promise<void>[] = [];
    if (this.status !== undefined) reads.push(device.read(this.status, 0, word));
    for (const { from, into } of parts) {
      if (into.byteLength > 0) reads.push(device.read(from.memory, from.offset, into));
    }
    if (reads.length === 0) await device.sync();
    await allDone(reads);
    if (this.status !== undefined) this.checkStatus(word);
  }

  private checkStatus(word: Uint8Array): void {
    const code = new DataView(word.buffer).getInt32(0, true);
    if (code !== noFailure) throw this.failureOf(code);
  }

  private failureOf(code: number): OpenClawError {
    const op = this.program.operators[code >> 3];
    if (op === undefined) return internal(`status word ${code}`);
    switch (code & 7) {
      case failReasons.indexOutOfRange:
        return failure('OC-RUN-03', { op });
      case failReasons.divisionByZero:
        return failure('OC-RUN-01', { op });
      default:
        return failure('OC-RUN-04', { op });
    }
  }

  /** After a failed run: waits for what is under way, and makes the status word new. */
  async recover(): Promise<void> {
    this.pending = [];
    const writes = this.writes;
    this.writes = [];
    await Promise.allSettled(writes);
    await this.opened.device.sync().catch(() => {});
    if (this.status !== undefined) {
      await this.opened.device.write(this.status, 0, bytesOfStatus(noFailure)).catch(() => {});
    }
  }

  /** A launch that is waited for and timed. */
  async timed(step: LaunchStep, command: Command, flops: number, bytes: number): Promise<void> {
    this.flush();
    await this.opened.device.sync();
    const start = this.now();
    this.command(command);
    this.flush();
    await this.opened.device.sync();
    const milliseconds = this.now() - start;
    const operator = this.program.operators[step.operator] as string;
    this.times?.push({
      operator,
      entry: step.entry,
      key: step.key ?? '',
      start,
      milliseconds,
      flops,
      bytes,
    });
  }

  release(): void {
    this.replays.release();
    if (this.status !== undefined) this.free(this.status);
    this.status = undefined;
    if (this.module !== undefined) this.opened.device.free(this.module);
  }
}

function bytesOfStatus(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Waits for all, then throws the first failure, so that nothing is under way afterwards. */
async function allDone(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** The bytes of a tensor's array. */
export function tensorBytes({ data }: HostTensor): Uint8Array {
  if (!ArrayBuffer.isView(data)) throw internal('strings have no bytes');
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
