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
  type Lost,
  type Memory,
  type MemoryArgument,
  type Module,
  type OpenClawError,
  type Recording,
  refused,
  type Stop,
  type Target,
} from '@open-claw/core/device';
import { outBytes, outHandle } from './calls.js';
import { type Prepared, prepare, touchedByAll } from './commands.js';
import { type Card, Context } from './context.js';
import {
  addressIn,
  GpuMemory,
  GpuModule,
  GpuRecording,
  type LoadedEntry,
  mark,
  spoiledBy,
} from './handles.js';
import { pause, Stream, sliceMilliseconds } from './stream.js';
import { releaseEvents, Timer } from './timer.js';
import { checkStop, type Watch, watchOf } from './wait.js';

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
/** Zeros of one copy, where the driver cannot fill. */
const zeroBytes = 2 ** 20;

const relaxedCapture = 2;

const isHandle = (handle: object): handle is GpuMemory | GpuModule | GpuRecording =>
  handle instanceof GpuMemory || handle instanceof GpuModule || handle instanceof GpuRecording;

export class GpuDevice implements Device {
  readonly lost: Promise<Lost>;
  private readonly stream: Stream;
  private readonly context: Context;
  private readonly target: Target;
  private readonly timer: Timer | undefined;
  private closed = false;

  constructor(card: Card, target: Target, options: GpuDeviceOptions = {}) {
    this.context = new Context(card);
    this.stream = new Stream(this.context);
    this.lost = this.stream.lost;
    this.target = target;
    this.timer = options.times === true ? new Timer(this.context) : undefined;
  }

  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    const { context, stream } = this;
    const made = outHandle();
    const size = Math.max(bytes, 1);
    let code = context.raw('allocate', made, size);
    if (context.meaning(code) === 'memory' && stream.mayLeave) {
      await stream.idle();
      this.checkOpen();
      code = context.raw('allocate', made, size);
    }
    if (context.meaning(code) === 'memory') {
      const free = this.freeBytes() ?? 'unknown';
      throw failure(
        'OC-DEVICE-01',
        { asked: bytes, free },
        { kind: 'transient', retry: 'smaller' },
      );
    }
    stream.must('allocate', code);
    const memory = new GpuMemory(this, made[0] as bigint, bytes);
    stream.live.add(memory);
    try {
      await this.clear(memory);
    } catch (error) {
      stream.leave(memory);
      throw error;
    }
    return memory;
  }

  free(handle: Memory | Module | Recording): void {
    if (!isHandle(handle)) return;
    const { stream } = this;
    stream.enqueue(
      () => stream.leave(handle),
      async () => stream.leave(handle),
    );
  }

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const { stream } = this;
    const address = addressIn(this, to, offset, bytes.byteLength);
    const written: MemoryArgument = {
      memory: to,
      offset,
      bytes: bytes.byteLength,
      access: 'write',
    };
    if (bytes.byteLength === 0) return;
    if (bytes.byteLength <= stagedBytes) {
      const staged = outBytes(bytes.byteLength);
      staged.set(bytes);
      const now = (): void => {
        stream.copyIn(address, staged);
        mark(written);
      };
      stream.enqueue(now, async () => now());
      return;
    }
    stream.enqueue(undefined, async () => {
      if (stream.gone !== undefined) return;
      await stream.pieces(bytes, (piece, at) => stream.copyIn(address + BigInt(at), piece));
      await stream.idle();
      mark(written, stream.failed);
    });
    await stream.turn();
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const { stream } = this;
    const bytes = into.byteLength;
    const address = addressIn(this, from, offset, bytes);
    let error: OpenClawError | undefined;
    stream.enqueue(undefined, async () => {
      if (!stream.isFine) return;
      // Waiting first: a copy to ordinary memory holds the caller until the stream gets to it.
      await stream.idle();
      error = spoiledBy([{ memory: from, offset, bytes, access: 'read' }]);
      if (!stream.isFine || error !== undefined || bytes === 0) return;
      const staged = bytes <= stagedBytes ? outBytes(bytes) : into;
      await stream.pieces(staged, (piece, at) => stream.copyOut(piece, address + BigInt(at)));
      await stream.idle();
      if (stream.isFine && staged !== into) into.set(staged);
    });
    await stream.turn();
    stream.report();
    if (error !== undefined) throw error;
    this.checkOpen();
  }

  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    const { context, stream } = this;
    const format = `cuda/${context.card.row.name}`;
    if (binary.format !== format || binary.target !== this.target.id) {
      const what = `a binary of ${binary.format} for ${binary.target}`;
      throw refused(what, `this device loads ${format} for ${this.target.id}`);
    }
    const image = outBytes(binary.bytes.byteLength);
    image.set(binary.bytes);
    const made = outHandle();
    stream.must('moduleLoad', context.raw('moduleLoad', made, image));
    const handle = made[0] as bigint;
    const functions = new Map<string, LoadedEntry>();
    for (const entry of binary.entries) {
      const code = context.raw('moduleFunction', made, handle, entry.name);
      stream.must('moduleFunction', code);
      functions.set(entry.name, { entry, handle: made[0] as bigint });
    }
    const module = new GpuModule(this, handle, binary.entries, functions);
    stream.live.add(module);
    return module;
  }

  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    const { stream } = this;
    const steps = commands.map((each) => prepare(each, this, this.context, this.target));
    const watch = watchOf(stop);
    const now = (): void => {
      this.timer?.start();
      for (const [i, step] of steps.entries()) this.issue(step, i);
    };
    const fits = watch === undefined && stream.inFlight.length + steps.length <= depth;
    stream.enqueue(fits ? now : undefined, async () => this.issueAll(steps, watch));
  }

  async sync(): Promise<void> {
    this.checkOpen();
    const { stream } = this;
    stream.enqueue(undefined, async () => {
      if (stream.failed === undefined) await stream.idle();
    });
    await stream.turn();
    stream.report();
    this.checkOpen();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const { stream } = this;
    await stream.turn();
    await stream.idle().catch(() => {});
    // A lost card takes its events along; one that does not end may still write them.
    if (this.timer !== undefined && stream.gone === undefined) {
      releaseEvents(this.context, this.timer);
    }
    stream.close();
  }

  async record(commands: readonly Command[]): Promise<Recording> {
    this.checkOpen();
    const { context, stream } = this;
    for (const part of ['captureBegin', 'captureEnd', 'graphInstantiate', 'graphLaunch'] as const) {
      if (!context.has(part)) throw refused('recording', 'the driver has no such call');
    }
    const steps = commands.map((command) => prepare(command, this, context, this.target));
    const wrong = steps.find(({ error }) => error !== undefined)?.error;
    if (wrong !== undefined) throw wrong;
    let recording: GpuRecording | undefined;
    let error: unknown;
    stream.enqueue(undefined, async () => {
      await stream.idle();
      try {
        recording = this.capture(steps);
      } catch (thrown) {
        error = thrown;
      }
    });
    await stream.turn();
    if (recording === undefined) throw error ?? stream.gone ?? internal('nothing was recorded');
    stream.live.add(recording);
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
    const { context, stream } = this;
    const bytes = Math.max(memory.bytes, 1);
    if (context.has('fill')) {
      stream.mayRun = true;
      stream.must('fill', context.raw('fill', memory.address, 0, bytes, context.stream));
      return;
    }
    const zeros = outBytes(Math.min(bytes, zeroBytes));
    for (let at = 0; at < bytes; at += zeros.byteLength) {
      const piece = zeros.subarray(0, Math.min(zeros.byteLength, bytes - at));
      stream.copyIn(memory.address + BigInt(at), piece);
      if (at > 0 && at % (16 * zeroBytes) === 0) await pause();
    }
    this.checkOpen();
  }

  /** Puts a command into the stream; after a failure the rest is skipped and spoils its outputs. */
  private issue({ step, error, reads, writes }: Prepared, index: number): void {
    const { stream } = this;
    const wrong = stream.gone ?? stream.failed ?? error ?? spoiledBy(reads);
    if (wrong !== undefined) stream.failed ??= wrong;
    else if (step !== undefined) {
      stream.mayRun = true;
      const code = this.context.raw(step.part, ...step.values);
      if (code === 0) stream.inFlight.push(index);
      else stream.fail(stream.failureOf(step.part, code, index), code);
    }
    this.timer?.mark();
    for (const argument of writes) mark(argument, stream.failed);
  }

  private async issueAll(steps: readonly Prepared[], watch: Watch | undefined): Promise<void> {
    const { stream } = this;
    const most = watch === undefined ? depth : watchedDepth;
    this.timer?.start();
    let started = performance.now();
    for (const [i, step] of steps.entries()) {
      const stopped = checkStop(watch, i);
      if (stopped !== undefined) stream.failed ??= stopped;
      if (stream.isFine && stream.inFlight.length >= most) await stream.idle(watch);
      else if (performance.now() - started > sliceMilliseconds) {
        await pause();
        started = performance.now();
      }
      this.issue(step, i);
    }
    if (watch !== undefined && stream.isFine) await stream.idle(watch);
    // What was in the stream when the stop came is not to be trusted either.
    if (stream.failed === undefined || watch === undefined) return;
    for (const argument of steps.flatMap(({ writes }) => writes)) mark(argument, stream.failed);
  }

  private capture(steps: readonly Prepared[]): GpuRecording {
    const { context, stream } = this;
    const [graph, executable] = [outHandle(), outHandle()];
    context.run('captureBegin', context.stream, relaxedCapture);
    const failures = steps.flatMap(({ step }, i) => {
      const code = step === undefined ? 0 : context.raw(step.part, ...step.values);
      return step === undefined || code === 0 ? [] : [stream.failureOf(step.part, code, i)];
    });
    // A capture that failed inside must be ended all the same.
    const ended = context.raw('captureEnd', context.stream, graph);
    if (failures[0] !== undefined) throw failures[0];
    stream.must('captureEnd', ended);
    try {
      context.run('graphInstantiate', executable, graph[0] as bigint, 0n);
    } finally {
      if (context.has('graphDestroy')) context.raw('graphDestroy', graph[0] as bigint);
    }
    return new GpuRecording(this, executable[0] as bigint, steps.length, touchedByAll(steps));
  }

  private checkOpen(): void {
    const { gone, failed } = this.stream;
    if (gone !== undefined && failed === undefined) throw gone;
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }
}
