/** Runs if, loop and while: bodies on the device, with values passed in device memory. */
import { elementCount } from '../base/host-tensor.js';
import type { Target } from '../base/target.js';
import type { IfStep, LoopStep, Procedure } from '../codegen/program.js';
import { ownResults } from '../codegen/segments.js';
import type { Command, MemoryArgument } from './contract.js';
import type { Frame, LaunchesOnly, Outcome, Runner } from './frame.js';
import {
  copiesOf,
  copyBetween,
  type LoopPlaces,
  type LoopPlan,
  mostCommands,
  planOf,
} from './loop-plan.js';
import { type Session, tensorBytes } from './session.js';
import { type Evaluator, evaluatorOf } from './sizes.js';

export class RegionRunner {
  private readonly session: Session;
  private readonly step: IfStep | LoopStep;
  private readonly bodies: readonly Body[];
  private readonly trip: Evaluator;
  /** The last plan; 'none' where rounds are more than launches. */
  private made: LoopPlan | 'none' | undefined;

  constructor(session: Session, step: IfStep | LoopStep, runnerOf: (body: Procedure) => Runner) {
    this.session = session;
    this.step = step;
    const inner = step.op === 'if' ? [step.then, step.else] : [step.body];
    this.bodies = inner.map((body) => new Body(runnerOf(body), session.opened.target));
    this.trip = step.op === 'if' ? () => 1 : evaluatorOf(step.trip);
  }

  async run(frame: Frame): Promise<void> {
    const { step, session } = this;
    const given = this.placesIn(frame);
    if (step.op === 'if') return this.branch(given.inputs, given.outputs, frame);
    // A profile waits for every launch.
    const plan = session.times === undefined ? await this.plan(frame) : undefined;
    if (plan === undefined) return this.loop(step, given, frame);
    session.check();
    await session.breathe();
    for (const command of plan.commands) session.command(command);
  }

  private placesIn({ places }: Pick<Frame, 'places'>): LoopPlaces {
    const { step } = this;
    const placesOf = (ids: readonly number[]): MemoryArgument[] =>
      ids.map((id) => places.get(id) as MemoryArgument);
    const [inputs, outputs] = [placesOf(step.inputs), placesOf(step.outputs)];
    // A carried value that its body changes in place needs no second memory.
    const spare = (step.op === 'if' ? [] : step.spare).map((id, i) =>
      id === undefined ? outputs[i] : places.get(id),
    ) as MemoryArgument[];
    return { inputs, outputs, spare };
  }

  /** All rounds of a counted loop as commands; undefined where a round is more than launches. */
  async plan(frame: Pick<Frame, 'environment' | 'places'>): Promise<LoopPlan | undefined> {
    const { step, made } = this;
    if (step.op !== 'loop' || made === 'none') return undefined;
    const given = this.placesIn(frame);
    const { environment } = frame;
    const { inputs, outputs, spare } = given;
    if (made?.isCurrent() && made.isFor(environment, [...inputs, ...outputs, ...spare])) {
      return made;
    }
    const [body] = this.bodies as readonly [Body];
    const trip = this.trip(environment);
    if (trip * Math.max(body.steps, 1) > mostCommands) return undefined;
    const plan = await this.rounds(step, given, environment, trip);
    this.made = plan ?? 'none';
    return plan?.isCurrent() ? plan : undefined;
  }

  private async rounds(
    step: LoopStep,
    given: LoopPlaces,
    environment: ReadonlyMap<string, number>,
    trip: number,
  ): Promise<LoopPlan | undefined> {
    const [body] = this.bodies as readonly [Body];
    const invariants = given.inputs.slice(step.carried);
    const stacked = given.outputs.slice(step.carried);
    const commands: Command[] = [];
    const parts: LaunchesOnly[] = [];
    const carried = given.outputs.slice(0, step.carried);
    let [current, next]: [readonly MemoryArgument[], readonly MemoryArgument[]] = [
      carried,
      given.spare,
    ];
    const move = (from: readonly MemoryArgument[], to: readonly MemoryArgument[]): void => {
      to.forEach((place, i) => {
        commands.push(...copyBetween(from[i] as MemoryArgument, place));
      });
    };
    move(given.inputs, carried);
    for (let count = 0; count < trip; count++) {
      const inside = new Map(environment).set(step.iteration, count);
      const rows = stacked.map((whole) => rowOf(whole, trip, count));
      const part = await body.launchesOnly(inside, [...current, ...invariants], [...next, ...rows]);
      if (part === undefined) return undefined;
      parts.push(part);
      commands.push(...part.commands);
      [current, next] = [next, current];
    }
    if (trip % 2 === 1) move(current, carried);
    return planOf(commands, parts, environment, given);
  }

  private async branch(
    inputs: readonly MemoryArgument[],
    outputs: readonly MemoryArgument[],
    frame: Frame,
  ): Promise<void> {
    const isTrue = await this.isTrue(inputs[0] as MemoryArgument);
    const body = this.bodies[isTrue ? 0 : 1] as Body;
    const results = await body.run(new Map(frame.environment), inputs.slice(1), outputs);
    results.forEach((result, i) => {
      this.move(result, outputs[i] as MemoryArgument);
    });
  }

  private async loop(
    step: LoopStep,
    { inputs, outputs, spare }: LoopPlaces,
    frame: Frame,
  ): Promise<void> {
    const { session } = this;
    const [body] = this.bodies as readonly [Body];
    const isWhile = step.op === 'while';
    const values = isWhile ? inputs.slice(1) : inputs;
    const invariants = values.slice(step.carried);
    const stacked = outputs.slice(step.carried, isWhile ? -1 : undefined);
    // Two sets of carried values: a body reads one while the other is filled.
    let current: readonly MemoryArgument[] = outputs.slice(0, step.carried);
    let next: readonly MemoryArgument[] = spare;
    current.forEach((to, i) => {
      this.copy(values[i] as MemoryArgument, to);
    });
    if (isWhile) for (const to of stacked) this.clear(to);
    const trip = this.trip(frame.environment);
    let goesOn = !isWhile || (trip > 0 && (await this.isTrue(inputs[0] as MemoryArgument)));
    let count = 0;
    while (goesOn && count < trip) {
      session.check();
      await session.breathe();
      const environment = new Map(frame.environment).set(step.iteration, count);
      const rows = stacked.map((whole) => rowOf(whole, trip, count));
      const targets = isWhile ? [undefined, ...next, ...rows] : [...next, ...rows];
      const results = await body.run(environment, [...current, ...invariants], targets);
      results.forEach((result, i) => {
        const to = targets[i];
        if (to !== undefined) this.move(result, to);
      });
      count++;
      [current, next] = [next, current];
      if (isWhile && count < trip) goesOn = await this.isTrueOf(results[0] as Outcome);
    }
    if (count % 2 === 1) {
      current.forEach((from, i) => {
        this.copy(from, outputs[i] as MemoryArgument);
      });
    }
    if (isWhile) {
      const counted = new BigInt64Array([BigInt(count)]);
      session.write(outputs.at(-1) as MemoryArgument, new Uint8Array(counted.buffer));
    }
  }

  private clear(to: MemoryArgument): void {
    if (to.bytes === 0) return;
    this.session.command({ kind: 'fill', to: { ...to, access: 'write' }, byte: 0 });
  }

  private move(result: Outcome, to: MemoryArgument): void {
    if ('place' in result) this.copy(result.place, to);
    else this.session.write(to, tensorBytes(result.tensor));
  }

  private copy(from: MemoryArgument, to: MemoryArgument): void {
    for (const command of copyBetween(from, to)) this.session.command(command);
  }

  private async isTrueOf(result: Outcome): Promise<boolean> {
    if ('place' in result) return this.isTrue(result.place);
    return elementCount(result.shape) > 0 && Boolean(result.tensor.data[0]);
  }

  private async isTrue(from: MemoryArgument): Promise<boolean> {
    const into = new Uint8Array(1);
    await this.session.read([{ from, into }]);
    return into[0] !== 0;
  }

  release(): void {
    for (const body of this.bodies) body.release();
  }
}

/** A body with its values given by place. */
class Body {
  private readonly runner: Runner;
  private readonly alignment: number;
  /** Buffers of results that the body may write where they are wanted. */
  private readonly direct: readonly (number | undefined)[];

  /** Steps of a run. */
  get steps(): number {
    return this.runner.procedure.steps.length;
  }

  constructor(runner: Runner, target: Pick<Target, 'offsetAlignment'>) {
    this.runner = runner;
    this.alignment = target.offsetAlignment;
    this.direct = ownResults(runner.procedure);
  }

  run(
    environment: Map<string, number>,
    inputs: readonly MemoryArgument[],
    targets: readonly (MemoryArgument | undefined)[],
  ): Promise<readonly Outcome[]> {
    return this.runner.run(environment, new Map(), { places: this.placesFor(inputs, targets) });
  }

  /** The commands of a run, with those that put its results where they are wanted. */
  async launchesOnly(
    environment: Map<string, number>,
    inputs: readonly MemoryArgument[],
    targets: readonly MemoryArgument[],
  ): Promise<LaunchesOnly | undefined> {
    const { procedure } = this.runner;
    if (procedure.requirements.length > 0 || procedure.results.some(({ host }) => host)) {
      return undefined;
    }
    const plan = await this.runner.launchesOnly(environment, this.placesFor(inputs, targets));
    if (plan === undefined) return undefined;
    const copies = copiesOf(plan, procedure.results, targets);
    return { ...plan, commands: [...plan.commands, ...copies] };
  }

  private placesFor(
    inputs: readonly MemoryArgument[],
    targets: readonly (MemoryArgument | undefined)[],
  ): ReadonlyMap<number, MemoryArgument> {
    const places = new Map<number, MemoryArgument>();
    this.runner.procedure.parameters.forEach(({ buffer }, i) => {
      if (buffer !== undefined) places.set(buffer, inputs[i] as MemoryArgument);
    });
    targets.forEach((to, i) => {
      const id = this.direct[i];
      if (to === undefined || id === undefined || to.offset % this.alignment !== 0) return;
      places.set(id, to);
    });
    return places;
  }

  release(): void {
    this.runner.release();
  }
}

/** Place of one iteration's row in a stacked value. */
function rowOf(stacked: MemoryArgument, trip: number, at: number): MemoryArgument {
  const bytes = stacked.bytes / trip;
  return { ...stacked, offset: stacked.offset + at * bytes, bytes };
}
