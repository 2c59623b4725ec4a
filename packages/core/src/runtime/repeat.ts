/**
 * A run that comes again with the same arrays, as the steps of a decoder do: its launches are one
 * recording, and little of the runtime is touched between two runs, whose weights have pushed it
 * out of the caches.
 */
import { elementCount, type HostTensor } from '../base/host-tensor.js';
import type { Command, MemoryArgument, Recording } from './contract.js';
import type { LaunchesOnly } from './frame.js';
import type { ProcedureRunner } from './procedure.js';
import { type Session, tensorBytes } from './session.js';
import { isSameShape } from './sizes.js';

/** A tensor as it was: an array that is detached since has another length. */
interface Same {
  readonly dtype: HostTensor['dtype'];
  readonly shape: readonly number[];
  readonly data: HostTensor['data'];
  readonly length: number;
}

interface Moved {
  readonly place: MemoryArgument;
  readonly bytes: Uint8Array;
}

/** Arrays of one run, and the places of what lies in them. */
export interface RunArrays {
  readonly inputs: readonly HostTensor[];
  readonly into: readonly (HostTensor | undefined)[];
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** Results that are written where they are wanted, by index. */
  readonly results: ReadonlyMap<number, HostTensor>;
}

export class Repeat {
  private readonly session: Session;
  private readonly recording: Recording;
  private readonly commands: readonly Command[];
  private readonly inputs: readonly Same[];
  private readonly into: readonly Same[];
  private readonly writes: readonly Moved[];
  private readonly reads: readonly Moved[];
  /** The same for a call: places of all that is moved, and their bytes. */
  private readonly places: readonly MemoryArgument[];
  private readonly data: readonly Uint8Array[];
  private readonly plan: LaunchesOnly;

  private constructor(
    session: Session,
    recording: Recording,
    arrays: { readonly inputs: readonly Same[]; readonly into: readonly Same[] },
    moved: { readonly writes: readonly Moved[]; readonly reads: readonly Moved[] },
    plan: LaunchesOnly,
  ) {
    this.session = session;
    this.recording = recording;
    this.commands = [{ kind: 'replay', recording }];
    this.inputs = arrays.inputs;
    this.into = arrays.into;
    this.writes = moved.writes;
    this.reads = moved.reads;
    this.places = [
      ...moved.writes.map(({ place }) => ({ ...place, access: 'read' }) as const),
      ...moved.reads.map(({ place }) => ({ ...place, access: 'write' }) as const),
    ];
    this.data = [...moved.writes, ...moved.reads].map(({ bytes }) => bytes);
    this.plan = plan;
  }

  /** For the arrays of a run that has just ended; undefined where it is more than launches. */
  static async for(
    session: Session,
    runner: ProcedureRunner,
    environment: Map<string, number>,
    { inputs, into, places: given, results: direct }: RunArrays,
  ): Promise<Repeat | undefined> {
    const { device } = session.opened;
    const { parameters, results } = runner.procedure;
    const isFull = into.length >= results.length && results.every((_, i) => isArray(into[i]));
    if (device.record === undefined || !isFull || !inputs.every(isArray)) return undefined;
    if (results.some(({ buffer, host }) => buffer === undefined || host !== undefined)) {
      return undefined;
    }
    const plan = await runner.launchesOnly(environment, given, true);
    if (plan === undefined) return undefined;
    const moved = (buffer: number, tensor: HostTensor): Moved => {
      return { place: plan.places.get(buffer) as MemoryArgument, bytes: tensorBytes(tensor) };
    };
    const writes = parameters.flatMap(({ buffer }, i) => {
      const tensor = inputs[i] as HostTensor;
      return buffer === undefined || given.has(buffer) ? [] : [moved(buffer, tensor)];
    });
    const reads = results.flatMap(({ buffer }, i) => {
      const tensor = into[i] as HostTensor;
      return buffer === undefined || direct.has(i) ? [] : [moved(buffer, tensor)];
    });
    if (reads.some(({ place, bytes }) => place.bytes !== bytes.byteLength)) return undefined;
    const recording = await device.record(plan.commands);
    const outputs = results.map((_, i) => sameOf(into[i] as HostTensor));
    const arrays = { inputs: inputs.map(sameOf), into: outputs };
    return new Repeat(session, recording, arrays, { writes, reads }, plan);
  }

  /** Whether these are the arrays that it was made for. */
  isFor(inputs: readonly HostTensor[], into: readonly (HostTensor | undefined)[]): boolean {
    return (
      inputs.length === this.inputs.length &&
      areSame(inputs, this.inputs) &&
      areSame(into, this.into) &&
      this.plan.isCurrent()
    );
  }

  /** As `run`, on the caller's thread; undefined where the device cannot now. Throws as a run. */
  runNow(): HostTensor[] | undefined {
    const { session, recording, plan, places, data } = this;
    return session.call(recording, plan, places, data) ? this.results() : undefined;
  }

  /** Runs and gives the arrays for results. Rejects as a run does. */
  async run(): Promise<HostTensor[]> {
    const { session, writes, reads, commands } = this;
    for (const { place, bytes } of writes) session.write(place, bytes);
    session.repeat(commands);
    await session.read(reads.map(({ place, bytes }) => ({ from: place, into: bytes })));
    await session.settle();
    return this.results();
  }

  private results(): HostTensor[] {
    return this.into.map(({ dtype, shape, data }) => ({ dtype, shape: shape.slice(), data }));
  }

  release(): void {
    this.session.opened.device.free(this.recording);
  }
}

const isArray = (tensor: HostTensor | undefined): boolean =>
  tensor !== undefined && ArrayBuffer.isView(tensor.data);

const sameOf = ({ dtype, shape, data }: HostTensor): Same => ({
  dtype,
  shape: [...shape],
  data,
  length: elementCount(shape),
});

function areSame(tensors: readonly (HostTensor | undefined)[], known: readonly Same[]): boolean {
  for (let i = 0; i < known.length; i++) {
    const tensor = tensors[i];
    const { dtype, shape, data, length } = known[i] as Same;
    if (tensor === undefined || tensor.data !== data || tensor.dtype !== dtype) return false;
    if (data.length !== length || !isSameShape(tensor.shape, shape)) return false;
  }
  return true;
}
