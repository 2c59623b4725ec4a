/**
 * Short programs in one call: what a run of small tensors would do step by step is recorded once
 * and replayed on the caller's thread, data in and out included.
 */
import { elementCount, emptyTensor, type HostTensor, isStorageOf } from '../base/host-tensor.js';
import type { Procedure } from '../codegen/program.js';
import { bindInputs } from './bind.js';
import type { Device, MemoryArgument, Recording } from './contract.js';
import type { LaunchesOnly } from './frame.js';
import type { ProcedureRunner } from './procedure.js';
import { type Session, tensorBytes } from './session.js';
import { shapeOf } from './sizes.js';

/** Longer tensors are used where they lie, on a device that can, instead of being copied. */
const mostBytes = ({ wrap }: Device): number => (wrap === undefined ? 2 ** 17 : 2 ** 14);
/** Estimated work above which a program leaves the caller's thread. */
const mostMicroseconds = 50;

type Kind = Pick<HostTensor, 'dtype' | 'shape'>;

export class Shortcut {
  private readonly session: Session;
  private readonly recording: Recording;
  private readonly plan: LaunchesOnly;
  private readonly inputs: readonly Kind[];
  private readonly outputs: readonly Kind[];
  /** Of the inputs, then of the outputs. */
  private readonly places: readonly MemoryArgument[];

  private constructor(
    session: Session,
    recording: Recording,
    plan: LaunchesOnly,
    kinds: readonly [inputs: readonly Kind[], outputs: readonly Kind[]],
    places: readonly MemoryArgument[],
  ) {
    this.session = session;
    this.recording = recording;
    this.plan = plan;
    [this.inputs, this.outputs] = kinds;
    this.places = places;
  }

  /** For inputs like these, with which the program has just run; undefined where it has none. */
  static async for(
    session: Session,
    runner: ProcedureRunner,
    inputs: readonly HostTensor[],
  ): Promise<Shortcut | undefined> {
    const { procedure } = runner;
    const { device } = session.opened;
    if (device.call === undefined || device.record === undefined) return undefined;
    const longest = mostBytes(device);
    if (!isPlain(procedure) || !inputs.every((tensor) => isShort(tensor, longest)))
      return undefined;
    const environment = bindInputs(procedure, inputs);
    const plan = await runner.launchesOnly(environment);
    if (plan === undefined) return undefined;
    const outputs = procedure.results.map(({ dtype, shape }) => ({
      dtype,
      shape: shapeOf(shape, environment),
    }));
    const costs = plan.commands.map((each) => (each.kind === 'launch' ? each.microseconds : 0));
    if (costs.reduce((total, cost) => total + cost, 0) > mostMicroseconds) return undefined;
    const places: MemoryArgument[] = [];
    for (const { buffer } of procedure.parameters) {
      places.push({ ...(plan.places.get(buffer as number) as MemoryArgument), access: 'read' });
    }
    for (const { buffer } of procedure.results) {
      places.push({ ...(plan.places.get(buffer as number) as MemoryArgument), access: 'write' });
    }
    if (places.some(({ bytes }) => bytes > longest)) return undefined;
    const recording = await device.record(plan.commands);
    const kinds = inputs.map(({ dtype, shape }) => ({ dtype, shape: [...shape] }));
    return new Shortcut(session, recording, plan, [kinds, outputs], places);
  }

  /** Whether it is still right, and made for inputs like these. */
  isFor(inputs: readonly HostTensor[]): boolean {
    return (
      this.plan.isCurrent() &&
      inputs.length === this.inputs.length &&
      inputs.every((tensor, i) => isOfKind(tensor, this.inputs[i] as Kind))
    );
  }

  /** Undefined where the inputs, the arrays for outputs or the device do not fit. */
  run(
    inputs: readonly HostTensor[],
    into: readonly (HostTensor | undefined)[],
  ): HostTensor[] | undefined {
    if (inputs.length !== this.inputs.length || !this.plan.isCurrent()) return undefined;
    const data: Uint8Array[] = [];
    for (let i = 0; i < inputs.length; i++) {
      const tensor = inputs[i] as HostTensor;
      if (!isOfKind(tensor, this.inputs[i] as Kind)) return undefined;
      data.push(tensorBytes(tensor));
    }
    const results: HostTensor[] = [];
    for (let i = 0; i < this.outputs.length; i++) {
      const kind = this.outputs[i] as Kind;
      const given = into[i];
      if (given !== undefined && !isOfKind(given, kind)) return undefined;
      const tensor = given ?? emptyTensor(kind.dtype, [...kind.shape]);
      results.push(tensor);
      data.push(tensorBytes(tensor));
    }
    const { device } = this.session.opened;
    return device.call?.(this.recording, this.places, data) === true ? results : undefined;
  }

  release(): void {
    this.session.opened.device.free(this.recording);
  }
}

const isShort = ({ data }: HostTensor, longest: number): boolean =>
  ArrayBuffer.isView(data) && data.byteLength <= longest;

/** Whether inputs and results lie in memory of their own and no input is written over. */
function isPlain({ parameters, results, requirements, symbols }: Procedure): boolean {
  return (
    parameters.every(({ buffer, overwritten }) => buffer !== undefined && overwritten !== true) &&
    results.every(({ buffer, host }) => buffer !== undefined && host === undefined) &&
    requirements.length === 0 &&
    [...symbols.values()].every(({ from }) => from === 'size')
  );
}

function isOfKind({ dtype, shape, data }: HostTensor, kind: Kind): boolean {
  if (dtype !== kind.dtype || shape.length !== kind.shape.length) return false;
  for (let i = 0; i < shape.length; i++) if (shape[i] !== kind.shape[i]) return false;
  return isStorageOf(dtype, data) && data.length === elementCount(shape);
}
