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
import type { Device, Memory, MemoryArgument } from './contract.js';
import type { Outcome } from './frame.js';
import type { ProcedureRunner } from './procedure.js';
import type { OpenDevice } from './registry.js';
import { type RunLimits, type Session, tensorBytes } from './session.js';
import { isKnown, shapeOf } from './sizes.js';

/** A tensor in the memory of one device; whoever holds it releases it. */
export interface Resident {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly opened: OpenDevice;
  readonly memory: Memory;
}

/** Bytes that a device's pool keeps for the next values. */
const mostPooled = 2 ** 28;

/**
 * Bytes of memory for a value: at most an eighth more, so that one that grows from call to call, as
 * a key/value cache does, finds the memory of those before it.
 */
function roomFor(bytes: number): number {
  const step = Math.max(64, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.ceil(bytes / step) * step;
}

/**
 * Memory of released values by size: a training loop asks for the same sizes again and again. Of
 * several the oldest is given, so that a run after the release of the last one's results finds each
 * where it lay, and its commands as they were.
 */
class Pool {
  private readonly device: Device;
  /** Youngest first. */
  private readonly spare = new Map<number, Memory[]>();
  private readonly births = new WeakMap<Memory, number>();
  private allocations = 0;
  private bytes = 0;

  constructor(device: Device) {
    this.device = device;
  }

  /** Memory of at least so many bytes, with anything in it. */
  async allocate(bytes: number): Promise<Memory> {
    const room = roomFor(bytes);
    const known = this.spare.get(room)?.pop();
    if (known !== undefined) {
      this.bytes -= room;
      return known;
    }
    const number = this.allocations++;
    const memory = await this.allocateNew(bytes, room);
    this.births.set(memory, number);
    return memory;
  }

  private async allocateNew(bytes: number, room: number): Promise<Memory> {
    try {
      return await this.device.allocate(room);
    } catch (error) {
      if (this.bytes === 0 && room === bytes) throw error;
      this.clear();
      return this.device.allocate(bytes);
    }
  }

  /** Commands made so far still see the memory: the device's order of calls is order of work. */
  release(memory: Memory): void {
    const isRoom = roomFor(memory.bytes) === memory.bytes;
    if (!isRoom || this.bytes + memory.bytes > mostPooled) {
      this.device.free(memory);
      return;
    }
    const list = this.spare.get(memory.bytes) ?? [];
    const birth = this.birthOf(memory);
    const at = list.findLastIndex((other) => this.birthOf(other) > birth);
    list.splice(at + 1, 0, memory);
    this.spare.set(memory.bytes, list);
    this.bytes += memory.bytes;
  }

  /** Memory that came from elsewhere is the youngest. */
  private birthOf(memory: Memory): number {
    return this.births.get(memory) ?? Number.POSITIVE_INFINITY;
  }

  private clear(): void {
    for (const list of this.spare.values()) for (const memory of list) this.device.free(memory);
    this.spare.clear();
    this.bytes = 0;
  }
}

const pools = new WeakMap<Device, Pool>();

function poolOf({ device }: OpenDevice): Pool {
  const pool = pools.get(device) ?? new Pool(device);
  pools.set(device, pool);
  return pool;
}

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

  constructor(session: Session, { main }: Program, runner: ProcedureRunner) {
    this.session = session;
    this.main = main;
    this.runner = runner;
    this.onHost = inputsOnHost(main);
    this.ownResults = ownResults(main);
    this.resultBuffers = new Set(main.results.map(({ buffer }) => buffer));
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
      const results = await this.runOn(inputs, donated.usable, options);
      const held = new Set(
        results.map((result) => ('memory' in result ? result.memory : undefined)),
      );
      for (const each of donated.all) if (!held.has(each.memory)) releaseResident(each);
      return results;
    } catch (error) {
      for (const each of donated.all) releaseResident(each);
      throw error;
    }
  }

  private async runOn(
    inputs: readonly Resident[],
    donated: ReadonlySet<Resident>,
    limits: RunLimits,
  ): Promise<(Resident | HostTensor)[]> {
    const { main, session, runner } = this;
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
        else if (donated.has(input)) {
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
      const outcomes = await runner.run(environment, host, { places, copies });
      const results: (Resident | HostTensor)[] = [];
      for (const [i, outcome] of outcomes.entries()) {
        const { buffer = -1, dtype } = main.results[i] as Result;
        const own = kept.get(buffer) ?? donors.get(buffer);
        kept.delete(buffer);
        donors.delete(buffer);
        results.push(
          own === undefined
            ? await copied(session, dtype, outcome, hold)
            : { ...own, dtype, shape: outcome.shape },
        );
      }
      await session.read([]);
      await session.settle();
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
  for (const each of donatedOf(inputs, options).all) releaseResident(each);
}

/** What is given up, each once, and what of it no other input shows. */
function donatedOf(
  inputs: readonly Resident[],
  { donate = [] }: ResidentOptions,
): { readonly all: readonly Resident[]; readonly usable: ReadonlySet<Resident> } {
  const byMemory = new Map(donate.map((i) => [inputs[i]?.memory, inputs[i] as Resident]));
  const all = [...byMemory.values()];
  const usable = all.filter(
    ({ memory }) => inputs.filter((other) => other.memory === memory).length === 1,
  );
  return { all, usable: new Set(usable) };
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
