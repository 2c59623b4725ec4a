/**
 * Runs on values of the device that come again in the same memory, as those of a loop do whose
 * results are released: each is one recording, called without anything of the run made anew.
 */
import type { Command, Memory, MemoryArgument, Recording } from './contract.js';
import type { LaunchesOnly } from './frame.js';
import { poolOf, type Resident } from './pool.js';
import type { ProcedureRunner } from './procedure.js';
import { copyCommand, type Session } from './session.js';
import { isSameShape } from './sizes.js';

/** Recordings kept: results that are held while the next ones are made take turns. */
const most = 4;

/** A run that ended well: where everything lay. */
export interface Whereabouts {
  readonly inputs: readonly Resident[];
  /** Indices of inputs that were given up. */
  readonly donate: readonly number[];
  readonly results: readonly Resident[];
  /** Of the results, and others that the run took from the pool. */
  readonly own: readonly Memory[];
  readonly environment: Map<string, number>;
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** What buffers hold before the first launch: copied there. */
  readonly copies: ReadonlyMap<number, MemoryArgument>;
}

interface Known extends Pick<Whereabouts, 'inputs' | 'donate' | 'results' | 'own'> {
  /** Undefined until the run has come a second time. */
  ready: Ready | undefined;
}

interface Ready {
  readonly recording: Recording;
  readonly plan: LaunchesOnly;
}

export class ResidentRepeats {
  private readonly session: Session;
  private readonly runner: ProcedureRunner;
  /** Youngest first. */
  private known: Known[] = [];
  private isOver: boolean;

  constructor(session: Session, runner: ProcedureRunner) {
    const { device } = session.opened;
    this.session = session;
    this.runner = runner;
    this.isOver = device.call === undefined || device.record === undefined;
  }

  /**
   * The run by a recording of it, on the caller's thread; undefined where there is none, the
   * memory of its results is in use, or the device cannot now: then nothing has changed. Throws as
   * a run rejects; nothing new is held then.
   */
  run(inputs: readonly Resident[], donate: readonly number[]): Resident[] | undefined {
    const { opened } = this.session;
    for (const each of this.known) {
      const { ready, own, results } = each;
      if (ready === undefined || !isFor(each, inputs, donate) || !ready.plan.isCurrent()) continue;
      const pool = poolOf(opened);
      if (!pool.take(own)) continue;
      let isDone = false;
      try {
        isDone = this.session.call(ready.recording, ready.plan);
      } finally {
        if (!isDone) for (const memory of own) pool.release(memory);
      }
      if (!isDone) return undefined;
      return results.map(({ dtype, shape, memory }) => {
        return { dtype, shape: shape.slice(), opened, memory };
      });
    }
    return undefined;
  }

  /** After a run that was not one of these. One that comes for the second time is recorded. */
  async learn(run: Whereabouts): Promise<void> {
    if (this.isOver) return;
    const { inputs, donate, results, own } = run;
    const like = this.known.find((each) => isFor(each, inputs, donate) && isSame(each.own, own));
    if (like?.ready?.plan.isCurrent() === true) return;
    if (like === undefined || like.ready !== undefined) {
      if (like !== undefined) this.forget(like);
      const last = this.known[most - 1];
      if (last !== undefined) this.forget(last);
      this.known.unshift({ inputs, donate, results, own, ready: undefined });
      return;
    }
    try {
      like.ready = await this.record(run);
    } catch {
      // What is wrong with the commands shows where they run.
    }
    this.isOver = like.ready === undefined;
  }

  private async record({ environment, places, copies }: Whereabouts): Promise<Ready | undefined> {
    const { device } = this.session.opened;
    const plan = await this.runner.launchesOnly(environment, places, true);
    if (plan === undefined) return undefined;
    const before = [...copies].map(([buffer, from]): Command => {
      const to = plan.places.get(buffer) as MemoryArgument;
      return copyCommand(from, to, to.bytes);
    });
    const recording = await device.record?.([...before, ...plan.commands]);
    return recording === undefined ? undefined : { recording, plan };
  }

  private forget(known: Known): void {
    this.known = this.known.filter((each) => each !== known);
    if (known.ready !== undefined) this.session.opened.device.free(known.ready.recording);
  }

  release(): void {
    this.isOver = true;
    for (const each of this.known) this.forget(each);
  }
}

function isFor(known: Known, inputs: readonly Resident[], donate: readonly number[]): boolean {
  if (inputs.length !== known.inputs.length || !isSame(donate, known.donate)) return false;
  for (let i = 0; i < inputs.length; i++) {
    const { memory, dtype, shape } = inputs[i] as Resident;
    const before = known.inputs[i] as Resident;
    if (memory !== before.memory || dtype !== before.dtype) return false;
    if (!isSameShape(shape, before.shape)) return false;
  }
  return true;
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
