/**
 * A card as a device: every command goes to one stream, in the order of the calls; waiting polls
 * the stream, so that nothing holds the event loop.
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
  type Module,
  type OpenClawError,
  type Recording,
  refused,
  type Stop,
  type Target,
} from '@open-claw/core/device';
import { outBytes, outHandle } from './calls.js';
import { type Step, stepOf } from './commands.js';
import { type Card, Context } from './context.js';
import { callFailure, reasonOf, retryOf } from './failures.js';
import { addressIn, GpuMemory, GpuModule, GpuRecording, type LoadedEntry } from './handles.js';
import { releaseEvents, Timer } from './timer.js';
import { checkStop, isIdle, type Watch, watchOf } from './wait.js';

export interface GpuDeviceOptions {
  /** Times every command by events of the stream. */
  readonly times?: boolean;
}

/** Commands in the stream before more are held back: drivers stop the caller at about 1000. */
const depth = 256;
/** With a signal or a time limit: what is in the stream cannot be taken back. */
const watchedDepth = 8;
/** Bytes that are copied through an array of our own. */
const stagedBytes = 64 * 1024;
/** Bytes of one copy: a driver may hold the caller for as long as it takes. */
const pieceBytes = 4 * 2 ** 20;
/** Longest time in milliseconds that calls follow each other without a pause. */
const sliceMilliseconds = 3;

const relaxedCapture = 2;

export class GpuDevice implements Device {
  readonly lost: Promise<Lost>;
  private readonly context: Context;
  private readonly target: Target;
  private readonly live = new Set<GpuMemory | GpuModule | GpuRecording>();
  /** Freed by the caller, perhaps still used by commands in the stream. */
  private leaving: (GpuMemory | GpuModule)[] = [];
  /** Arrays that commands in the stream read or write. */
  private held: unknown[] = [];
  private settleLost: (lost: Lost) => void = () => {};
  private gone: OpenClawError | undefined;
  private failed: OpenClawError | undefined;
  private closed = false;
  private pending = 0;
  private tail: Promise<void> = Promise.resolve();
  /** Numbers of the submitted commands that may still run. */
  private inFlight: number[] = [];
  private readonly timer: Timer | undefined;

  constructor(card: Card, target: Target, options: GpuDeviceOptions = {}) {
    this.context = new Context(card);
    this.target = target;
    this.timer = options.times === true ? new Timer(this.context) : undefined;
    this.lost = new Promise((resolve) => {
      this.settleLost = resolve;
    });
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    const made = outHandle();
    const size = Math.max(bytes, 1);
    let code = this.context.raw('allocate', made, size);
    if (this.context.meaning(code) === 'memory' && this.leaving.length > 0) {
      await this.idle();
      this.checkOpen();
      code = this.context.raw('allocate', made, size);
    }
    if (this.context.meaning(code) === 'memory') {
      const free = this.freeBytes() ?? 'unknown';
      throw failure('OC-DEVICE-01', { asked: bytes, free }, { kind: 'transient', retry: 'smaller' });
    }
    if (code !== 0) throw this.judge(callFailureOf(this.context, 'allocate', code), code);
    const memory = new GpuMemory(this, made[0] as bigint, bytes);
    this.live.add(memory);
    try {
      await this.clear(memory);
    } catch (error) {
      this.release(memory);
      throw error;
    }
    return memory;
  }

  free(handle: Memory | Module): void {
    if (!(handle instanceof GpuMemory || handle instanceof GpuModule)) return;
    this.enqueue(
      () => this.leave(handle),
      async () => this.leave(handle),
    );
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const address = addressIn(this, to, offset, bytes.byteLength);
    if (bytes.byteLength === 0) return;
    if (bytes.byteLength <= stagedBytes) {
      const staged = outBytes(bytes.byteLength);
      staged.set(bytes);
      const now = (): void => this.copyIn(address, staged);
      const waits = this.pending > 0;
      this.enqueue(now, async () => now());
      if (waits) await this.tail;
      return;
    }
    this.enqueue(undefined, async () => {
      if (this.gone !== undefined) return;
      await this.pieces(bytes, (piece, at) => this.copyIn(address + BigInt(at), piece));
      await this.idle();
    });
    await this.tail;
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const address = addressIn(this, from, offset, into.byteLength);
    let error: OpenClawError | undefined;
    this.enqueue(undefined, async () => {
      if (this.failed !== undefined || this.gone !== undefined) return;
      // Waiting first: a copy to ordinary memory holds the caller until the stream gets to it.
      await this.idle();
      const staged = into.byteLength <= stagedBytes ? outBytes(into.byteLength) : into;
      if (this.settled() && into.byteLength > 0) {
        await this.pieces(staged, (piece, at) => this.copyOut(piece, address + BigInt(at)));
        await this.idle();
      }
      if (this.settled() && staged !== into) into.set(staged);
      error = this.gone;
    });
    await this.tail;
    this.report();
    if (error !== undefined) throw error;
    this.checkOpen();
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    const format = `cuda/${this.context.card.row.name}`;
    if (binary.format !== format || binary.target !== this.target.id) {
      const what = `a binary of ${binary.format} for ${binary.target}`;
      throw refused(what, `this device loads ${format} for ${this.target.id}`);
    }
    const image = outBytes(binary.bytes.byteLength);
    image.set(binary.bytes);
    const made = outHandle();
    this.must('moduleLoad', this.context.raw('moduleLoad', made, image));
    const handle = made[0] as bigint;
    const functions = new Map<string, LoadedEntry>();
    for (const entry of binary.entries) {
      this.must(
        'moduleFunction',
        this.context.raw('moduleFunction', made, handle, entry.name),
      );
      functions.set(entry.name, { entry, handle: made[0] as bigint });
    }
    const module = new GpuModule(this, handle, binary.entries, functions);
    this.live.add(module);
    return module;
  }

  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    this.timer?.start();
    const steps = this.stepsOf(commands);
    if (steps === undefined) return;
    const watch = watchOf(stop);
    const now = (): void => {
      for (const [i, step] of steps.entries()) this.issue(step, i);
    };
    const fits = watch === undefined && this.inFlight.length + steps.length <= depth;
    this.enqueue(fits ? now : undefined, async () => this.issueAll(steps, watch));
  }

  async sync(): Promise<void> {
    this.checkOpen();
    this.enqueue(undefined, async () => {
      if (this.failed === undefined) await this.idle();
    });
    await this.tail;
    this.report();
    this.checkOpen();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.tail;
    if (this.gone === undefined) await this.idle().catch(() => {});
    for (const handle of [...this.live, ...this.leaving]) this.release(handle);
    this.leaving = [];
    if (this.timer !== undefined) releaseEvents(this.context, this.timer);
    this.context.close(this.gone !== undefined);
  }

  async record(commands: readonly Command[]): Promise<Recording> {
    this.checkOpen();
    for (const part of ['captureBegin', 'captureEnd', 'graphInstantiate', 'graphLaunch'] as const) {
      if (!this.context.has(part)) throw refused('recording', 'the driver has no such call');
    }
    const steps = commands.map((command) => stepOf(command, this, this.context, this.target));
    let recording: GpuRecording | undefined;
    let error: unknown;
    this.enqueue(undefined, async () => {
      await this.idle();
      try {
        recording = this.capture(steps);
      } catch (thrown) {
        error = thrown;
      }
    });
    await this.tail;
    if (recording === undefined) throw error ?? this.gone ?? internal('nothing was recorded');
    this.live.add(recording);
    return recording;
  }

  async time(): Promise<{ readonly nanoseconds: readonly number[]; readonly clock: 'device' }> {
    await this.sync();
    return { nanoseconds: this.timer?.read() ?? [], clock: 'device' };
  }

  async status(): Promise<{ readonly freeBytes: number }> {
    this.checkOpen();
    return { freeBytes: this.freeBytes() ?? this.target.memoryBytes };
  }

  /** Bytes that the driver says are free. */
  private freeBytes(): number | undefined {
    if (!this.context.has('memoryInfo')) return undefined;
    const [free, total] = [outHandle(), outHandle()];
    const code = this.context.raw('memoryInfo', free, total);
    return code === 0 ? Number(free[0]) : undefined;
  }

  /** Zeroes new memory; where the driver cannot fill, by copies of zeros. */
  private async clear(memory: GpuMemory): Promise<void> {
    const { stream } = this.context;
    const bytes = Math.max(memory.bytes, 1);
    if (this.context.has('fill')) {
      this.must('fill', this.context.raw('fill', memory.address, 0, bytes, stream));
      return;
    }
    const zeros = outBytes(Math.min(bytes, pieceBytes));
    for (let at = 0; at < bytes; at += zeros.byteLength) {
      const piece = zeros.subarray(0, Math.min(zeros.byteLength, bytes - at));
      this.copyIn(memory.address + BigInt(at), piece);
    }
    await this.idle();
    this.checkOpen();
  }

  private copyIn(to: bigint, from: Uint8Array): void {
    if (this.gone !== undefined) return;
    const { context } = this;
    const { stream } = context;
    this.held.push(from);
    const code = context.has('copyToDevice')
      ? context.raw('copyToDevice', to, from, from.byteLength, stream)
      : context.raw('copy', to, from, from.byteLength, 1, stream);
    if (code !== 0) this.fail(callFailureOf(context, this.part('copyToDevice'), code), code);
  }

  private copyOut(into: Uint8Array, from: bigint): void {
    const { context } = this;
    const { stream } = context;
    this.held.push(into);
    const code = context.has('copyToHost')
      ? context.raw('copyToHost', into, from, into.byteLength, stream)
      : context.raw('copy', into, from, into.byteLength, 2, stream);
    if (code !== 0) this.fail(callFailureOf(context, this.part('copyToHost'), code), code);
  }

  private part(wanted: 'copyToDevice' | 'copyToHost'): 'copyToDevice' | 'copyToHost' | 'copy' {
    return this.context.has(wanted) ? wanted : 'copy';
  }

  /** Copies piece by piece, with pauses. */
  private async pieces(
    bytes: Uint8Array,
    copy: (piece: Uint8Array, at: number) => void,
  ): Promise<void> {
    let started = performance.now();
    for (let at = 0; at < bytes.byteLength && this.settled(); at += pieceBytes) {
      copy(bytes.subarray(at, Math.min(at + pieceBytes, bytes.byteLength)), at);
      if (performance.now() - started < sliceMilliseconds) continue;
      await new Promise<void>((resume) => setImmediate(resume));
      started = performance.now();
    }
  }

  private settled(): boolean {
    return this.failed === undefined && this.gone === undefined;
  }

  /** Calls of commands; a wrong handle is a failure of the next read. */
  private stepsOf(commands: readonly Command[]): readonly (Step | undefined)[] | undefined {
    try {
      return commands.map((command) => stepOf(command, this, this.context, this.target));
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failed ??= error;
      return undefined;
    }
  }

  private issue(step: Step | undefined, index: number): void {
    if (step === undefined || !this.settled()) return;
    const code = this.context.raw(step.part, ...step.values);
    this.timer?.mark();
    if (code === 0) this.inFlight.push(index);
    else this.fail(callFailureOf(this.context, step.part, code, index), code);
  }

  private async issueAll(
    steps: readonly (Step | undefined)[],
    watch: Watch | undefined,
  ): Promise<void> {
    const most = watch === undefined ? depth : watchedDepth;
    let started = performance.now();
    for (const [i, step] of steps.entries()) {
      const stopped = checkStop(watch, i);
      if (stopped !== undefined) this.failed ??= stopped;
      if (!this.settled()) return;
      if (this.inFlight.length >= most) await this.idle(watch);
      else if (performance.now() - started > sliceMilliseconds) {
        await new Promise<void>((resume) => setImmediate(resume));
        started = performance.now();
      }
      this.issue(step, i);
    }
    if (watch !== undefined) await this.idle(watch);
  }

  private capture(steps: readonly (Step | undefined)[]): GpuRecording {
    const { context } = this;
    const { stream } = context;
    const [graph, executable] = [outHandle(), outHandle()];
    context.run('captureBegin', stream, relaxedCapture);
    const codes = steps.map((s) => (s === undefined ? 0 : context.raw(s.part, ...s.values)));
    // A capture that failed inside must be ended all the same.
    const ended = context.raw('captureEnd', stream, graph);
    const wrong = codes.findIndex((code) => code !== 0);
    if (wrong >= 0) {
      throw callFailureOf(context, (steps[wrong] as Step).part, codes[wrong] as number, wrong);
    }
    if (ended !== 0) throw callFailureOf(context, 'captureEnd', ended);
    try {
      context.run('graphInstantiate', executable, graph[0] as bigint, 0n);
    } finally {
      if (context.has('graphDestroy')) context.raw('graphDestroy', graph[0] as bigint);
    }
    return new GpuRecording(this, executable[0] as bigint, steps.length);
  }

  /** Waits until the stream is idle; a failure found there is kept for the next read. */
  private async idle(watch?: Watch): Promise<void> {
    if (this.gone !== undefined) return;
    const { code, stopped, stuck } = await isIdle(this.context, watch);
    if (stopped !== undefined) this.failed ??= stopped;
    if (stuck) {
      this.lose(`a command does not end: ${this.running()}`, 'other-device');
      return;
    }
    if (code !== 0) {
      const part = this.context.has('streamQuery') ? 'streamQuery' : 'streamWait';
      this.fail(callFailureOf(this.context, part, code, this.running()), code);
      if (this.gone !== undefined) return;
    }
    this.inFlight = [];
    this.held = [];
    const { leaving } = this;
    this.leaving = [];
    for (const handle of leaving) this.release(handle);
  }

  /** Numbers of the commands of which one failed: the driver does not say which. */
  private running(): string | number {
    const [first, last] = [this.inFlight[0], this.inFlight.at(-1)];
    if (first === undefined || last === undefined) return 'copy';
    return first === last ? first : `${Math.min(...this.inFlight)}–${Math.max(...this.inFlight)}`;
  }

  /** Keeps a failure for the next read or sync; the card is gone where the code says so. */
  private fail(error: OpenClawError, code: number): void {
    this.failed ??= this.judge(error, code);
  }

  private judge(error: OpenClawError, code: number): OpenClawError {
    const meaning = this.context.meaning(code);
    if (meaning === 'broken' || meaning === 'lost') {
      this.lose(String(error.details['reason']), retryOf[meaning]);
    }
    return error;
  }

  private must(part: 'moduleLoad' | 'moduleFunction' | 'fill', code: number): void {
    if (code !== 0) throw this.judge(callFailureOf(this.context, part, code), code);
  }

  private lose(reason: string, retry: Lost['retry']): void {
    if (this.gone !== undefined) return;
    this.gone = failure('OC-DEVICE-09', { reason }, { kind: 'transient', retry });
    this.inFlight = [];
    this.settleLost({ code: 'OC-DEVICE-09', reason, retry });
  }

  private leave(handle: GpuMemory | GpuModule): void {
    if (!this.live.delete(handle)) return;
    if (this.inFlight.length === 0 && this.held.length === 0) this.release(handle);
    else this.leaving.push(handle);
  }

  /** Gives a handle back to the driver; a lost card has taken all with it. */
  private release(handle: GpuMemory | GpuModule | GpuRecording): void {
    this.live.delete(handle);
    const { context } = this;
    const alive = this.gone === undefined;
    if (handle instanceof GpuRecording) {
      if (alive && context.has('graphExecutableDestroy')) {
        context.raw('graphExecutableDestroy', handle.handle);
      }
      return;
    }
    if (handle instanceof GpuMemory) {
      const { address } = handle;
      handle.address = 0n;
      if (!alive || address === 0n) return;
      const code = context.raw('release', address);
      if (code !== 0) this.fail(callFailureOf(context, 'release', code), code);
      return;
    }
    const module = handle.handle;
    handle.handle = 0n;
    if (alive && module !== 0n && context.has('moduleUnload')) context.raw('moduleUnload', module);
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

  private report(): void {
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  private checkOpen(): void {
    if (this.gone !== undefined && this.failed === undefined) throw this.gone;
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }
}

const callFailureOf = (
  context: Context,
  part: Parameters<typeof reasonOf>[1],
  code: number,
  command?: number | string,
): OpenClawError => callFailure(context.card.row, context.card.calls, part, code, command);
