/**
 * Values that stay in device memory between runs: inputs are read where they lie, results get
 * memory of their own, and only `readResident` brings numbers back.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import { elementCount, emptyTensor, type HostTensor } from '../base/host-tensor.js';
import type { Procedure, Program, Result } from '../codegen/program.js';
import { ownResults } from '../codegen/segments.js';
import type { Node } from '../graph/node.js';
import { bindInputs } from './bind.js';
import type { MemoryArgument } from './contract.js';
import type { Outcome } from './frame.js';
import { poolOf, type Resident } from './pool.js';
import type { ProcedureRunner } from './procedure.js';
import type { OpenDevice } from './registry.js';
import { ResidentRepeats } from './resident-repeat.js';
import { type RunLimits, type Session, tensorBytes } from './session.js';
import { isKnown, shapeOf } from './sizes.js';

const none: readonly never[] = [];

const bytesFor = (dtype: DType, shape: readonly number[]): number =>
  bytesOf(dtype) * elementCount(shape);

async function allocate(
  opened: OpenDevice,
  dtype: DType,
  shape: readonly number[],
): Promise<Resident> {
  const memory = await poolOf(opened).allocate(Math.max(bytesFor(dtype, shape), 1));
  return { dtype, shape, opened, memory };
}

/** Copies a host tensor to the device; its array may be reused afterwards. */
export async function uploadResident(opened: OpenDevice, tensor: HostTensor): Promise<Resident> {
  const resident = await allocate(opened, tensor.dtype, tensor.shape);
  const bytes = tensorBytes(tensor);
  if (bytes.byteLength > 0) await opened.device.write(resident.memory, 0, bytes);
  return resident;
}

export async function readResident(resident: Resident): Promise<HostTensor> {
  const tensor = emptyTensor(resident.dtype, resident.shape);
  const bytes = tensorBytes(tensor);
  if (bytes.byteLength > 0) await resident.opened.device.read(resident.memory, 0, bytes);
  return tensor;
}

/** Gives the memory back; the value must not be used afterwards. */
export function releaseResident({ opened, memory }: Resident): void {
  poolOf(opened).release(memory);
}

const placeOf = ({ memory, dtype, shape }: Resident): MemoryArgument => ({
  memory,
  offset: 0,
  bytes: bytesFor(dtype, shape),
  access: 'readWrite',
});

/** Inputs that steps on the host look at. */
function inputsOnHost({ parameters, steps, results }: Procedure): ReadonlySet<Node> {
  const seen = new Set<Node>();
  for (const step of steps) {
    if (step.kind === 'host')
      for (const { inputs } of step.nodes) for (const x of inputs) seen.add(x);
    if (step.kind === 'bind' || step.kind === 'upload') seen.add(step.node);
  }
  for (const { host } of results) if (host !== undefined) seen.add(host);
  return new Set(parameters.map(({ node }) => node).filter((node) => seen.has(node)));
}

export interface ResidentOptions extends RunLimits {
  /**
   * Indices of inputs that the caller gives up, whether the run succeeds or not: their memory
   * becomes a result's where the plan says so (KV cache, optimizer state), and is freed otherwise.
   */
  readonly donate?: readonly number[];
}

/** Runs a program on values that lie on the device. */
export class ResidentRunner {
  private readonly session: Session;
  private readonly main: Procedure;
  private readonly runner: ProcedureRunner;
  private readonly onHost: ReadonlySet<Node>;
  private readonly ownResults: readonly (number | undefined)[];
  private readonly resultBuffers: ReadonlySet<number | undefined>;
  private readonly repeats: ResidentRepeats;

  constructor(session: Session, { main }: Program, runner: ProcedureRunner) {
    this.session = session;
    this.main = main;
    this.runner = runner;
    this.onHost = inputsOnHost(main);
    this.ownResults = ownResults(main);
    this.resultBuffers = new Set(main.results.map(({ buffer }) => buffer));
    this.repeats = new ResidentRepeats(session, runner);
  }

  /**
   * As `run`, without limits, on the caller's thread; undefined where that cannot be now, and then
   * nothing has changed. Throws as `run` rejects; the session is to be recovered then.
   */
  runNow(inputs: readonly Resident[], options: ResidentOptions): Resident[] | undefined {
    const { donate = none } = options;
    if (donate.length === 0) return this.repeats.run(inputs, donate);
    const { all } = donatedOf(inputs, options);
    try {
      const results = this.repeats.run(inputs, donate);
      if (results !== undefined) releaseOthers(all, results);
      return results;
    } catch (error) {
      releaseOthers(all, none);
      throw error;
    }
  }

  release(): void {
    this.repeats.release();
  }

  /**
   * Results lie on the device too, except those that the host computed. Rejects as
   * `Executable.run` does; then nothing new is held.
   */
  async run(
    inputs: readonly Resident[],
    options: ResidentOptions,
  ): Promise<(Resident | HostTensor)[]> {
    const donated = donatedOf(inputs, options);
    try {
      const results = await this.runOn(inputs, donated, options);
      releaseOthers(donated.all, results);
      return results;
    } catch (error) {
      releaseOthers(donated.all, none);
      throw error;
    }
  }

  private async runOn(
    inputs: readonly Resident[],
    donated: Donated,
    { donate = none, ...limits }: ResidentOptions,
  ): Promise<(Resident | HostTensor)[]> {
    const { main, session, runner, repeats } = this;
    const environment = bindInputs(main, inputs);
    const { opened } = session;
    const held: Resident[] = [];
    const hold = async (dtype: DType, shape: readonly number[]): Promise<Resident> => {
      const resident = await allocate(opened, dtype, shape);
      held.push(resident);
      return resident;
    };
    session.begin(limits);
    try {
      await session.breathe();
      const isPlain = limits.signal === undefined && limits.timeLimit === undefined;
      const again = isPlain ? repeats.run(inputs, donate) : undefined;
      if (again !== undefined) return again;
      const host = new Map<Node, HostTensor>();
      for (const [i, { node }] of main.parameters.entries()) {
        if (this.onHost.has(node)) host.set(node, await readResident(inputs[i] as Resident));
      }
      const kept = new Map<number, Resident>();
      for (const [i, id] of this.ownResults.entries()) {
        const { dtype, shape } = main.results[i] as Result;
        if (id === undefined || !shape.every((size) => isKnown(size, environment))) continue;
        kept.set(id, await hold(dtype, shapeOf(shape, environment)));
      }
      const places = new Map([...kept].map(([id, resident]) => [id, placeOf(resident)] as const));
      const copies = new Map<number, MemoryArgument>();
      const donors = new Map<number, Resident>();
      for (const [i, { buffer, overwritten }] of main.parameters.entries()) {
        if (buffer === undefined) continue;
        const input = inputs[i] as Resident;
        if (overwritten !== true) places.set(buffer, placeOf(input));
        else if (donated.usable.has(input)) {
          donors.set(buffer, input);
          places.set(buffer, placeOf(input));
        } else {
          // The copy is made where the result shall lie.
          copies.set(buffer, placeOf(input));
          if (!this.resultBuffers.has(buffer)) continue;
          const own = await hold(input.dtype, input.shape);
          kept.set(buffer, own);
          places.set(buffer, placeOf(own));
        }
      }
      const own = held.map(({ memory }) => memory);
      const outcomes = await runner.run(environment, host, { places, copies });
      const results: (Resident | HostTensor)[] = [];
      for (const [i, outcome] of outcomes.entries()) {
        const { buffer = -1, dtype } = main.results[i] as Result;
        const place = kept.get(buffer) ?? donors.get(buffer);
        kept.delete(buffer);
        donors.delete(buffer);
        results.push(
          place === undefined
            ? await copied(session, dtype, outcome, hold)
            : { ...place, dtype, shape: outcome.shape },
        );
      }
      await session.read([]);
      await session.settle();
      const isWhole = host.size === 0 && held.length === own.length && results.every(isResident);
      if (isPlain && isWhole && donated.usable.size === donate.length) {
        const made = { inputs, donate, results: results as Resident[], own };
        await repeats.learn({ ...made, environment, places, copies });
      }
      return results;
    } catch (error) {
      await session.recover();
      for (const resident of held) releaseResident(resident);
      throw error;
    }
  }
}

/** Frees what a run that cannot begin was given. */
export function releaseDonated(inputs: readonly Resident[], options: ResidentOptions): void {
  releaseOthers(donatedOf(inputs, options).all, none);
}

/** What is given up, each once, and what of it no other input shows. */
interface Donated {
  readonly all: readonly Resident[];
  readonly usable: ReadonlySet<Resident>;
}

function donatedOf(inputs: readonly Resident[], { donate = none }: ResidentOptions): Donated {
  const byMemory = new Map(donate.map((i) => [inputs[i]?.memory, inputs[i] as Resident]));
  const all = [...byMemory.values()];
  const usable = all.filter(
    ({ memory }) => inputs.filter((other) => other.memory === memory).length === 1,
  );
  return { all, usable: new Set(usable) };
}

const isResident = (result: Resident | HostTensor): result is Resident => 'memory' in result;

/** Releases what was given up and lies in no result. */
function releaseOthers(
  given: readonly Resident[],
  results: readonly (Resident | HostTensor)[],
): void {
  const isHeld = ({ memory }: Resident): boolean =>
    results.some((result) => isResident(result) && result.memory === memory);
  for (const each of given) if (!isHeld(each)) releaseResident(each);
}

async function copied(
  session: Session,
  dtype: DType,
  outcome: Outcome,
  hold: (dtype: DType, shape: readonly number[]) => Promise<Resident>,
): Promise<Resident | HostTensor> {
  if ('tensor' in outcome) return outcome.tensor;
  const resident = await hold(dtype, outcome.shape);
  const to = placeOf(resident);
  session.copy(outcome.place, to, to.bytes);
  return resident;
}
