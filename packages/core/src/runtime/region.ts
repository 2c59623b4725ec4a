/** Runs if, loop and while: bodies on the device, with values passed in device memory. */
import { elementCount } from '../base/host-tensor.js';
import type { IfStep, LoopStep, Procedure } from '../codegen/program.js';
import type { MemoryArgument } from './contract.js';
import type { Frame, Outcome, Runner } from './frame.js';
import { type Session, tensorBytes } from './session.js';
import { type Evaluator, evaluatorOf } from './sizes.js';

export class RegionRunner {
  private readonly session: Session;
  private readonly step: IfStep | LoopStep;
  private readonly bodies: readonly Runner[];
  private readonly trip: Evaluator;

  constructor(session: Session, step: IfStep | LoopStep, runnerOf: (body: Procedure) => Runner) {
    this.session = session;
    this.step = step;
    this.bodies = step.op === 'if' ? [step.then, step.else].map(runnerOf) : [runnerOf(step.body)];
    this.trip = step.op === 'if' ? () => 1 : evaluatorOf(step.trip);
  }

  async run(frame: Frame): Promise<void> {
    const { step } = this;
    const placesOf = (ids: readonly number[]): MemoryArgument[] =>
      ids.map((id) => frame.places.get(id) as MemoryArgument);
    const inputs = placesOf(step.inputs);
    const outputs = placesOf(step.outputs);
    if (step.op === 'if') return this.branch(inputs, outputs, frame);
    return this.loop(step, inputs, outputs, placesOf(step.spare), frame);
  }

  private async branch(
    inputs: readonly MemoryArgument[],
    outputs: readonly MemoryArgument[],
    frame: Frame,
  ): Promise<void> {
    const isTrue = await this.isTrue(inputs[0] as MemoryArgument);
    const body = this.bodies[isTrue ? 0 : 1] as Runner;
    const results = await body.run(new Map(frame.environment), new Map(), inputs.slice(1));
    results.forEach((result, i) => {
      this.move(result, outputs[i] as MemoryArgument);
    });
  }

  private async loop(
    step: LoopStep,
    inputs: readonly MemoryArgument[],
    outputs: readonly MemoryArgument[],
    spare: readonly MemoryArgument[],
    frame: Frame,
  ): Promise<void> {
    const { session } = this;
    const [body] = this.bodies as readonly [Runner];
    const isWhile = step.op === 'while';
    const values = isWhile ? inputs.slice(1) : inputs;
    const invariants = values.slice(step.carried);
    const stacked = outputs.slice(step.carried, isWhile ? -1 : undefined);
    // Two sets of carried values: a body reads one while the other is filled.
    let current: readonly MemoryArgument[] = outputs.slice(0, step.carried);
    let next: readonly MemoryArgument[] = spare;
    current.forEach((to, i) => {
      session.copy(values[i] as MemoryArgument, to, to.bytes);
    });
    if (isWhile) for (const to of stacked) this.clear(to);
    const trip = this.trip(frame.environment);
    let goesOn = !isWhile || (trip > 0 && (await this.isTrue(inputs[0] as MemoryArgument)));
    let count = 0;
    while (goesOn && count < trip) {
      session.check();
      await session.breathe();
      const environment = new Map(frame.environment).set(step.iteration, count);
      const results = await body.run(environment, new Map(), [...current, ...invariants]);
      const made = isWhile ? results.slice(1) : results;
      made.forEach((result, i) => {
        const to = i < step.carried ? next[i] : rowOf(stacked[i - step.carried], trip, count);
        this.move(result, to as MemoryArgument);
      });
      count++;
      [current, next] = [next, current];
      if (isWhile && count < trip) goesOn = await this.isTrueOf(results[0] as Outcome);
    }
    if (count % 2 === 1) {
      current.forEach((from, i) => {
        session.copy(from, outputs[i] as MemoryArgument, from.bytes);
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
    if ('place' in result) this.session.copy(result.place, to, to.bytes);
    else this.session.write(to, tensorBytes(result.tensor));
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

/** Place of one iteration's row in a stacked value. */
function rowOf(
  stacked: MemoryArgument | undefined,
  trip: number,
  at: number,
): MemoryArgument | undefined {
  if (stacked === undefined) return undefined;
  const bytes = stacked.bytes / trip;
  return { ...stacked, offset: stacked.offset + at * bytes, bytes };
}
