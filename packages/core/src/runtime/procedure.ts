/**
 * Runs a procedure: places its buffers segment by segment, turns launches into commands, and does
 * the steps in between. One runner lives as long as the executable and keeps its memory.
 */
import { internal } from '../base/errors.js';
import { variablesOf } from '../base/expression.js';
import { allocateArray, emptyTensor, type HostTensor, readElement } from '../base/host-tensor.js';
import type { LaunchStep, Procedure, ProgramStep, Result } from '../codegen/program.js';
import { segmentRanges } from '../codegen/segments.js';
import type { Node } from '../graph/node.js';
import { Arena } from './arena.js';
import { checkRequirements } from './bind.js';
import type { Command, MemoryArgument, Module } from './contract.js';
import {
  type Frame,
  type Given,
  isSamePlace,
  type LaunchesOnly,
  type Outcome,
  type Runner,
} from './frame.js';
import type { LoopPlan } from './loop-plan.js';
import { RegionRunner } from './region.js';
import { type Session, tensorBytes } from './session.js';
import { type Evaluator, evaluatorOf, shapeOf } from './sizes.js';

interface Segment {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
  readonly arena: Arena;
}

/** A command of the last run, and what it was made for. */
interface Made {
  readonly command: Command | undefined;
  readonly sizes: readonly (number | undefined)[];
  readonly places: readonly (MemoryArgument | undefined)[];
}

/** A launch with its sizes as functions. */
interface ReadyLaunch {
  readonly step: LaunchStep;
  /** All symbols that the command depends on. */
  readonly symbols: readonly string[];
  readonly grid: readonly Evaluator[];
  /** Empty for a device that has no use for them. */
  readonly windows: readonly Evaluator[];
  readonly flops: Evaluator;
  readonly bytes: Evaluator;
}

export class ProcedureRunner implements Runner {
  readonly procedure: Procedure;
  private readonly session: Session;
  private readonly fixed: ReadonlyMap<number, MemoryArgument>;
  private readonly segments: readonly Segment[];
  private readonly launches = new Map<LaunchStep, ReadyLaunch>();
  /** Most launches are the same at every run. */
  private readonly made = new Map<LaunchStep, Made>();
  private readonly regions = new Map<ProgramStep, RegionRunner>();

  /** `fixed` holds constants and what was made from them; see constants.ts. */
  constructor(
    session: Session,
    procedure: Procedure,
    fixed: ReadonlyMap<Procedure, ReadonlyMap<number, MemoryArgument>>,
  ) {
    this.session = session;
    this.procedure = procedure;
    this.fixed = fixed.get(procedure) ?? new Map();
    this.segments = segmentsOf(session, procedure);
    for (const step of procedure.steps) {
      if (step.kind === 'launch') this.launches.set(step, readyLaunch(session, step));
      if (step.kind !== 'region') continue;
      const inner = (body: Procedure): Runner => new ProcedureRunner(session, body, fixed);
      this.regions.set(step, new RegionRunner(session, step, inner));
    }
  }

  /** Runs all steps. */
  async run(
    environment: Map<string, number>,
    host: Map<Node, HostTensor>,
    given: Given,
  ): Promise<readonly Outcome[]> {
    const { session, procedure } = this;
    const frame: Frame = { environment, host, places: new Map([...this.fixed, ...given.places]) };
    let open = checkRequirements(procedure.requirements, environment);
    for (const segment of this.segments) {
      await segment.arena.place(environment, frame.places);
      if (segment.first === 0) this.fillInputs(frame, given);
      for (let at = segment.first; at < segment.end; at++) {
        const step = procedure.steps[at] as ProgramStep;
        if (step.kind === 'launch') {
          // Most launches are made already: nothing to wait for.
          if (!this.repeat(step, frame)) await this.launch(step, frame);
        } else await this.other(step, frame);
        if (at % 256 === 255) await session.breathe();
      }
      open = checkRequirements(open, environment);
      session.check();
    }
    return procedure.results.map((result) => this.outcome(result, frame));
  }

  /**
   * The commands of a run that launches kernels, and loops over such, and does nothing else; none
   * may fail unless `mayFail`, and none of a loop.
   */
  async launchesOnly(
    environment: Map<string, number>,
    given: ReadonlyMap<number, MemoryArgument> = new Map(),
    mayFail = false,
  ): Promise<LaunchesOnly | undefined> {
    const { session, procedure } = this;
    const [segment, more] = this.segments;
    if (segment === undefined || more !== undefined) return undefined;
    if (!procedure.steps.every((step) => this.isCommands(step, mayFail))) return undefined;
    const places = new Map([...this.fixed, ...given]);
    await segment.arena.place(environment, places);
    const { generation } = segment.arena;
    const commands: Command[] = [];
    const loops: LoopPlan[] = [];
    for (const step of procedure.steps) {
      if (step.kind === 'launch') {
        const launch = this.launches.get(step) as ReadyLaunch;
        const command = await launchCommand(session, launch, { environment, places });
        if (command !== undefined) commands.push(command);
        continue;
      }
      const loop = await this.regions.get(step)?.plan({ environment, places });
      if (loop === undefined) return undefined;
      commands.push(...loop.commands);
      loops.push(loop);
    }
    const isCurrent = (): boolean =>
      segment.arena.generation === generation && loops.every((loop) => loop.isCurrent());
    const fails = procedure.steps.some((step) => step.kind === 'launch' && step.mayFail);
    return { commands, places, mayFail: fails, isCurrent };
  }

  private isCommands(step: ProgramStep, mayFail: boolean): boolean {
    if (step.kind === 'launch') return mayFail || !step.mayFail;
    return step.kind === 'region' && step.op === 'loop';
  }

  /** Inputs that no place was given for come from the host or from other memory. */
  private fillInputs({ host, places }: Frame, given: Given): void {
    for (const { buffer, node } of this.procedure.parameters) {
      if (buffer === undefined) continue;
      const to = places.get(buffer) as MemoryArgument;
      const from = given.copies?.get(buffer);
      if (from !== undefined) this.session.copy(from, to, to.bytes);
      else if (!given.places.has(buffer)) {
        this.session.write(to, tensorBytes(host.get(node) as HostTensor));
      }
    }
  }

  /** Gives the command of the last run once more; false where another is needed. */
  private repeat(step: LaunchStep, frame: Frame): boolean {
    const { session } = this;
    const made = this.made.get(step);
    if (made === undefined || session.times !== undefined) return false;
    if (!isMadeFor(made, this.launches.get(step) as ReadyLaunch, frame)) return false;
    if (made.command !== undefined) session.command(made.command);
    return true;
  }

  private async launch(step: LaunchStep, frame: Frame): Promise<void> {
    const { session } = this;
    const { environment, places } = frame;
    const launch = this.launches.get(step) as ReadyLaunch;
    let made = this.made.get(step);
    if (made === undefined || !isMadeFor(made, launch, frame)) {
      made = {
        command: await launchCommand(session, launch, frame),
        sizes: launch.symbols.map((name) => environment.get(name)),
        places: step.buffers.map((id) => places.get(id)),
      };
      this.made.set(step, made);
    }
    const { command } = made;
    if (command === undefined) return;
    if (session.times === undefined) return session.command(command);
    await session.timed(step, command, launch.flops(environment), launch.bytes(environment));
  }

  private async other(step: ProgramStep, frame: Frame): Promise<void> {
    const { session } = this;
    const { environment, host, places } = frame;
    switch (step.kind) {
      case 'host':
        return this.compute(step.nodes, frame);
      case 'download': {
        const tensor = emptyTensor(step.node.dtype, shapeOf(step.node.shape, environment));
        const from = places.get(step.buffer) as MemoryArgument;
        await session.read([{ from, into: tensorBytes(tensor) }]);
        host.set(step.node, tensor);
        return;
      }
      case 'upload':
        return session.write(
          places.get(step.buffer) as MemoryArgument,
          tensorBytes(host.get(step.node) as HostTensor),
        );
      case 'bind': {
        const value = Number(readElement(hostValue(step.node, host), step.index));
        if (!Number.isSafeInteger(value)) throw internal(`size out of range: ${value}`);
        environment.set(step.symbol, value);
        return;
      }
      case 'operator': {
        const { name, sizes, parameters, buffers, access } = step;
        const bound = buffers.map((id, i): MemoryArgument => {
          return { ...(places.get(id) as MemoryArgument), access: access[i] ?? 'readWrite' };
        });
        return session.command({ kind: 'operator', name, buffers: bound, sizes, parameters });
      }
      case 'region':
        return (this.regions.get(step) as RegionRunner).run(frame);
      default:
        throw internal('a launch is no other step');
    }
  }

  private async compute(nodes: readonly Node[], { environment, host }: Frame): Promise<void> {
    const interpretNode = await interpreter();
    const symbols = (name: string): number | undefined => environment.get(name);
    const check = (): void => this.session.check();
    for (const node of nodes) {
      const inputs = node.inputs.map((input) => hostValue(input, host));
      const [result] = interpretNode(node, inputs, { symbols, check });
      host.set(node, result as HostTensor);
    }
  }

  private outcome(result: Result, { environment, places, host }: Frame): Outcome {
    const shape = shapeOf(result.shape, environment);
    if (result.host === undefined) {
      return { shape, place: places.get(result.buffer as number) as MemoryArgument };
    }
    const { data } = hostValue(result.host, host);
    const { dtype } = result;
    return { shape, tensor: { dtype, shape, data: sameBits(data, dtype) } };
  }

  release(): void {
    for (const { arena } of this.segments) arena.release();
    for (const region of this.regions.values()) region.release();
  }
}

let loaded: typeof import('../graph/interpret.js').interpretNode | undefined;

/** Most programs have no step on the host, so that it is loaded by the first that has. */
async function interpreter(): Promise<NonNullable<typeof loaded>> {
  loaded ??= (await import('../graph/interpret.js')).interpretNode;
  return loaded;
}

/** A launch as a command; none where there are no tasks. */
export async function launchCommand(
  session: Session,
  { step, grid, windows, flops, bytes }: ReadyLaunch,
  { environment, places }: Pick<Frame, 'environment' | 'places'>,
): Promise<Command | undefined> {
  const extents = grid.map((extent) => extent(environment));
  if (extents.some((extent) => extent <= 0)) return undefined;
  const buffers = step.buffers.map((id, i): MemoryArgument => {
    const place = places.get(id);
    if (place === undefined) throw internal(`buffer ${id} has no memory`);
    return { ...place, access: step.access[i] ?? 'readWrite' };
  });
  if (step.mayFail) buffers.push(await session.statusArgument());
  return {
    kind: 'launch',
    module: session.module as Module,
    entry: step.entry,
    grid: extents,
    buffers,
    sizes: step.sizes.map((name) => environment.get(name) as number),
    ...(windows.length > 0 && { windows: windows.map((window) => window(environment)) }),
    microseconds: microsecondsOf(
      flops(environment),
      bytes(environment),
      products.has(session.program.operators[step.operator] as string),
    ),
  };
}

export const readyLaunch = ({ opened }: Session, step: LaunchStep): ReadyLaunch => ({
  step,
  symbols: symbolsOf(step),
  grid: step.grid.map(evaluatorOf),
  windows: opened.device.lend === undefined ? [] : step.windows.map(evaluatorOf),
  flops: evaluatorOf(step.flops),
  bytes: evaluatorOf(step.bytes),
});

function symbolsOf({ grid, sizes, windows, flops, bytes }: LaunchStep): readonly string[] {
  const found = new Set(sizes);
  for (const size of [...grid, ...windows, flops, bytes]) {
    for (const name of variablesOf(size).keys()) found.add(name);
  }
  return [...found];
}

function isMadeFor(made: Made, { step, symbols }: ReadyLaunch, frame: Frame): boolean {
  const { environment, places } = frame;
  return (
    symbols.every((name, i) => environment.get(name) === made.sizes[i]) &&
    step.buffers.every((id, i) => isSamePlace(places.get(id), made.places[i]))
  );
}

const products: ReadonlySet<string> = new Set(['contract', 'window']);

/**
 * A rough cost for one core: 8 bytes and 4 operations per nanosecond, and 64 of products, or where
 * there are many for a byte.
 */
const microsecondsOf = (flops: number, bytes: number, isProduct: boolean): number =>
  Math.ceil(Math.max(flops / (isProduct || flops > 4 * bytes ? 64_000 : 4000), bytes / 8000)) + 1;

/** Steps between binds, each with the memory that is first needed there. */
function segmentsOf(session: Session, procedure: Procedure): Segment[] {
  return segmentRanges(procedure).map(({ first, end, buffers }) => {
    return { first, end, arena: new Arena(session, buffers) };
  });
}

/** The host's value of a node: given, computed, downloaded, or a constant. */
function hostValue(node: Node, host: ReadonlyMap<Node, HostTensor>): HostTensor {
  const value = node.op === 'constant' ? node.attributes.tensor : host.get(node);
  if (value === undefined) throw internal(`${node.op} ${node.id} is not on the host`);
  return value;
}

/** A copy of the array in the storage class of `dtype`: results never share the caller's arrays. */
function sameBits(data: HostTensor['data'], dtype: HostTensor['dtype']): HostTensor['data'] {
  if (!ArrayBuffer.isView(data)) return data;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const length = data.length;
  const copy = allocateArray(dtype, length);
  new Uint8Array(copy.buffer).set(bytes);
  return copy;
}
