/**
 * Executables: a program loaded on a device, ready to run many times.
 *
 *   Program ─ load ─▶ Executable ─ run(inputs) ─▶ outputs
 */
import { debug, trace } from '../base/debug.js';
import type { DType } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import { elementCount, emptyTensor, type HostTensor } from '../base/host-tensor.js';
import type { Parameter, Program, Result } from '../codegen/program.js';
import type { Node } from '../graph/node.js';
import { bindInputs } from './bind.js';
import { Constants } from './constants.js';
import type { Outcome } from './frame.js';
import { streamedBuffers, type Wrapped, wrapArrays } from './given.js';
import { KeptArrays } from './kept-arrays.js';
import type { Resident } from './pool.js';
import { ProcedureRunner } from './procedure.js';
import type { OpenDevice } from './registry.js';
import { Repeat } from './repeat.js';
import { type ResidentOptions, ResidentRunner, releaseDonated } from './resident.js';
import { type RunLimits, Session, type StepTime, tensorBytes } from './session.js';
import { Shortcut } from './shortcut.js';
import { type Turns, turnsOf } from './turns.js';

export interface RunOptions extends RunLimits {
  /**
   * Arrays that receive the outputs with the same index; the caller owns them. Large arrays may be
   * used where they lie: neither they nor the inputs may be changed or transferred until the run
   * has ended, and a failed run leaves an array as it was or zeroed.
   */
  readonly into?: readonly (HostTensor | undefined)[];
}

export interface LoadOptions {
  /** Most bytes of device memory; what the device has where absent. */
  readonly memoryLimit?: number;
  /** Milliseconds, for profiles. */
  readonly now?: () => number;
}

export interface Profile {
  readonly outputs: readonly HostTensor[];
  readonly steps: readonly StepTime[];
}

/** A program that can run: on a device, or by the interpreter. */
export interface Executable {
  readonly inputs: readonly Pick<Parameter, 'name' | 'dtype' | 'shape'>[];
  readonly outputs: readonly Pick<Result, 'dtype' | 'shape'>[];
  /** Most bytes of device memory that it has held. */
  readonly peakBytes: number;
  /** Calls at the same time run one after the other. After a failure nothing stale is readable. */
  run(inputs: readonly HostTensor[], options?: RunOptions): Promise<HostTensor[]>;
  /** Runs with every launch waited for. */
  profile(inputs: readonly HostTensor[], options?: RunOptions): Promise<Profile>;
  /** Frees its device memory after the runs under way. */
  dispose(): Promise<void>;
}

/** A program on a device: it also runs on values that stay there. */
export interface LoadedExecutable extends Executable {
  /** Inputs and results in device memory; the caller releases both (see resident.ts). */
  runResident(
    inputs: readonly Resident[],
    options?: ResidentOptions,
  ): Promise<(Resident | HostTensor)[]>;
  /**
   * The same within this call, for a short run that comes again while nothing else waits for the
   * device; undefined where it is none, and then nothing has happened.
   */
  runResidentNow(
    inputs: readonly Resident[],
    options?: ResidentOptions,
  ): readonly Resident[] | undefined;
}

const none: readonly undefined[] = [];

/** Compiles the source for the device, loads it, and writes the constants. */
export async function load(
  program: Program,
  opened: OpenDevice,
  options: LoadOptions = {},
): Promise<LoadedExecutable> {
  const { device, plugin, target } = opened;
  const { source } = program;
  const module =
    source === undefined ? undefined : await device.load(await plugin.compile(source, target));
  const limit = options.memoryLimit ?? target.memoryBytes;
  const session = new Session(opened, program, module, limit);
  if (options.now !== undefined) session.now = options.now;
  const constants = new Constants(session);
  try {
    await turnsOf(device).take(() => constants.prepare(program.main));
  } catch (error) {
    await session.recover();
    constants.release();
    session.release();
    throw error;
  }
  return new DeviceExecutable(session, program, constants);
}

class DeviceExecutable implements LoadedExecutable {
  private readonly session: Session;
  private readonly program: Program;
  private readonly constants: Constants;
  private readonly runner: ProcedureRunner;
  private readonly turns: Turns;
  /** Where the device can use arrays of the host. */
  private readonly arrays: KeptArrays | undefined;
  private resident: ResidentRunner | undefined;
  private shortcut: Shortcut | undefined;
  private repeat: Repeat | undefined;
  private isReleased = false;

  constructor(session: Session, program: Program, constants: Constants) {
    this.session = session;
    this.program = program;
    this.constants = constants;
    this.runner = new ProcedureRunner(session, program.main, constants.places);
    const { device } = session.opened;
    this.turns = turnsOf(device);
    if (device.wrap !== undefined) this.arrays = new KeptArrays(device);
    else if (device.lend !== undefined) {
      this.arrays = new KeptArrays(device, streamedBuffers(program.main));
    }
  }

  get inputs(): readonly Parameter[] {
    return this.program.main.parameters;
  }

  get outputs(): readonly Result[] {
    return this.program.main.results;
  }

  get peakBytes(): number {
    return this.session.peakBytes;
  }

  run(inputs: readonly HostTensor[], options: RunOptions = {}): Promise<HostTensor[]> {
    if (debug.level === 0) {
      return this.atOnce(inputs, options) ?? this.queue(() => this.runAndLearn(inputs, options));
    }
    return this.profile(inputs, options).then(({ outputs, steps }) => {
      for (const step of steps) trace(1, () => printTime(step));
      return [...outputs];
    });
  }

  /** A short program, or one that comes again, in one call where the device has time for it. */
  private atOnce(
    inputs: readonly HostTensor[],
    { into = none, signal, timeLimit }: RunOptions,
  ): Promise<HostTensor[]> | undefined {
    const { shortcut, repeat } = this;
    if (shortcut === undefined && repeat === undefined) return undefined;
    if (signal !== undefined || timeLimit !== undefined || !this.isFree) return undefined;
    try {
      const outputs = shortcut?.run(inputs, into);
      if (outputs !== undefined) return Promise.resolve(outputs);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    if (repeat?.isFor(inputs, into) !== true) return undefined;
    try {
      const outputs = repeat.runNow();
      return outputs === undefined ? undefined : Promise.resolve(outputs);
    } catch (error) {
      return this.queue(() => this.failed(error, into as readonly HostTensor[]));
    }
  }

  /** Whether nothing else waits for the device, and timers had a turn. */
  private get isFree(): boolean {
    return !this.isReleased && this.turns.isFree && this.session.isRested;
  }

  private async runAndLearn(
    inputs: readonly HostTensor[],
    options: RunOptions,
  ): Promise<HostTensor[]> {
    const outputs = await this.runNow(inputs, options);
    if (this.shortcut?.isFor(inputs) !== true) {
      this.shortcut?.release();
      this.shortcut = undefined;
      this.shortcut = await orNone(Shortcut.for(this.session, this.runner, inputs));
    }
    return outputs;
  }

  profile(inputs: readonly HostTensor[], options: RunOptions = {}): Promise<Profile> {
    return this.queue(async () => {
      const steps: StepTime[] = [];
      this.session.times = steps;
      try {
        return { outputs: await this.runNow(inputs, options), steps };
      } finally {
        this.session.times = undefined;
      }
    });
  }

  runResidentNow(
    inputs: readonly Resident[],
    options: ResidentOptions = {},
  ): Resident[] | undefined {
    const { resident, session } = this;
    const isPlain = options.signal === undefined && options.timeLimit === undefined;
    if (resident === undefined || !isPlain || !this.isFree) return undefined;
    try {
      return resident.runNow(inputs, options);
    } catch (error) {
      void this.queue(() => session.recover());
      throw error;
    }
  }

  runResident(
    inputs: readonly Resident[],
    options: ResidentOptions = {},
  ): Promise<(Resident | HostTensor)[]> {
    if (this.isReleased) releaseDonated(inputs, options);
    this.resident ??= new ResidentRunner(this.session, this.program, this.runner);
    const { resident } = this;
    return this.queue(() => resident.run(inputs, options));
  }

  async dispose(): Promise<void> {
    if (this.isReleased) return;
    this.isReleased = true;
    await this.turns.take(async () => {
      this.shortcut?.release();
      this.forgetRepeat();
      this.resident?.release();
      this.arrays?.release();
      this.runner.release();
      this.constants.release();
      this.session.release();
    });
  }

  private queue<T>(work: () => Promise<T>): Promise<T> {
    if (this.isReleased) return Promise.reject(failure('OC-RUN-08'));
    return this.turns.take(work);
  }

  private async runNow(inputs: readonly HostTensor[], options: RunOptions): Promise<HostTensor[]> {
    const { session, program } = this;
    const { into = [], signal, timeLimit } = options;
    const isPlain = signal === undefined && timeLimit === undefined && session.times === undefined;
    if (isPlain && this.repeat?.isFor(inputs, into) === true) {
      return this.runAgain(this.repeat, into as readonly HostTensor[]);
    }
    this.forgetRepeat();
    const environment = bindInputs(program.main, inputs);
    session.begin(options);
    await session.breathe();
    const free = session.limit - session.usedBytes;
    let isWhole = false;
    const wrapped = wrapArrays(this.arrays, program.main, inputs, into, environment, free);
    session.take(wrapped.newBytes);
    // The caller's arrays that this run began to write.
    const touched = [...wrapped.results.values()];
    try {
      const { parameters } = program.main;
      const host = new Map<Node, HostTensor>(
        parameters.map(({ node }, i) => [node, inputs[i] as HostTensor]),
      );
      const outcomes = await this.runner.run(environment, host, wrapped);
      const outputs = await this.download(outcomes, wrapped, into, touched);
      await session.settle();
      isWhole = true;
      this.arrays?.end(isWhole);
      if (isPlain && this.arrays?.isSteady === true && wrapped.newBytes === 0) {
        const arrays = { ...wrapped, inputs, into };
        this.repeat = await orNone(Repeat.for(session, this.runner, environment, arrays));
      }
      return outputs.map((tensor, i) =>
        wrapped.results.has(i) ? tensor : deliver(tensor, i, into[i]),
      );
    } catch (error) {
      await session.recover();
      // What was partly written to the caller's arrays must not be taken for a result.
      clear(touched);
      throw error;
    } finally {
      if (!isWhole) this.arrays?.end(isWhole);
      session.give(wrapped.newBytes);
    }
  }

  private async runAgain(repeat: Repeat, into: readonly HostTensor[]): Promise<HostTensor[]> {
    const { session } = this;
    session.begin({});
    await session.breathe();
    try {
      return await repeat.run();
    } catch (error) {
      return this.failed(error, into);
    }
  }

  /** After a repeated run that failed. */
  private async failed(error: unknown, into: readonly HostTensor[]): Promise<never> {
    await this.session.recover();
    clear(into);
    this.forgetRepeat();
    this.arrays?.end(false);
    throw error;
  }

  private forgetRepeat(): void {
    this.repeat?.release();
    this.repeat = undefined;
  }

  /**
   * Reads into new arrays, and into large ones of the caller once it is known that no task failed:
   * a failed run leaves nothing readable. The caller's are added to `touched`.
   */
  private async download(
    outcomes: readonly Outcome[],
    { results }: Wrapped,
    into: readonly (HostTensor | undefined)[],
    touched: HostTensor[],
  ): Promise<HostTensor[]> {
    const tensors = outcomes.map((outcome, i) => {
      if ('tensor' in outcome) return outcome.tensor;
      const { shape } = outcome;
      const direct = results.get(i);
      if (direct !== undefined) return { ...direct, shape };
      const { dtype } = this.outputs[i] as Result;
      const given = into[i];
      if (given === undefined || !takes(given, dtype, shape)) return emptyTensor(dtype, shape);
      return { dtype, shape, data: given.data };
    });
    const direct = into.filter(
      (given, i) => given !== undefined && tensors[i]?.data === given.data,
    );
    if (direct.length > results.size) await this.session.read([]);
    touched.push(...(direct as readonly HostTensor[]));
    const parts = outcomes.flatMap((outcome, i) =>
      'place' in outcome && !results.has(i)
        ? [{ from: outcome.place, into: tensorBytes(tensors[i] as HostTensor) }]
        : [],
    );
    await this.session.read(parts);
    return tensors;
  }
}

/** A run that has ended well does not fail because there is no memory to repeat it sooner. */
const orNone = <T>(learned: Promise<T | undefined>): Promise<T | undefined> =>
  learned.catch(() => undefined);

/** Zeroes arrays; one that was transferred meanwhile has no bytes left. */
function clear(tensors: readonly HostTensor[]): void {
  for (const tensor of tensors) if (tensor.data.length > 0) tensorBytes(tensor).fill(0);
}

const printTime = ({ operator, entry, milliseconds }: StepTime): string =>
  `${milliseconds.toFixed(3).padStart(10)} ms  ${entry}  ${operator}`;

/** Bytes from which an array of the caller is read into at once. */
const largeBytes = 2 ** 16;

/** Whether an array of the caller is large and holds such a value. */
const takes = ({ dtype, shape, data }: HostTensor, of: DType, like: readonly number[]): boolean =>
  dtype === of &&
  elementCount(shape) === elementCount(like) &&
  ArrayBuffer.isView(data) &&
  data.byteLength >= largeBytes;

function deliver(tensor: HostTensor, index: number, into: HostTensor | undefined): HostTensor {
  if (into === undefined) return tensor;
  const { length } = tensor.data;
  const isSame = into.dtype === tensor.dtype && elementCount(into.shape) === length;
  // One that was transferred has no elements left.
  if (!isSame || !ArrayBuffer.isView(into.data) || into.data.length !== length) {
    const text = ({ dtype, shape, data }: HostTensor): string =>
      `${dtype}[${shape}] in ${data.length} elements`;
    throw failure('OC-RUN-09', { index, given: text(into), expected: text(tensor) });
  }
  if (tensor.data !== into.data) tensorBytes(into).set(tensorBytes(tensor));
  return { ...tensor, data: into.data };
}
