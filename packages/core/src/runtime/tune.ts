/**
 * Measured choices: the program is compiled once per candidate, each step's launches are timed in
 * turns, and what is faster is kept where the whole program is faster with it.
 */
import type { HostTensor } from '../base/host-tensor.js';
import type { CompileOptions } from '../compile.js';
import type { Graph } from '../graph/node.js';
import { anyStep, type Candidate, candidatesFor } from '../kernel/candidates.js';
import type { Tuning } from '../kernel/lowered.js';
import { compileFor } from './cache.js';
import type { OpenDevice } from './registry.js';
import { type LoadedExecutable, load } from './run.js';

export interface TuneOptions extends Pick<CompileOptions, 'precision'> {
  /** Milliseconds; the choice is made from what was measured by then. */
  readonly budget: number;
  /** Milliseconds of a clock. */
  readonly now: () => number;
}

/** Best times of a step by candidate, in milliseconds; undefined where it was not measured. */
export interface TunedStep {
  readonly key: string;
  readonly times: readonly (number | undefined)[];
  /** Index of the candidate; 0 is the default. */
  readonly choice: number;
}

export interface Tuned {
  /** Empty where the defaults are best. */
  readonly tuning: Tuning;
  readonly candidates: readonly Candidate[];
  readonly steps: readonly TunedStep[];
  /** Milliseconds of the whole program with the defaults and with the choice. */
  readonly before: number;
  readonly after: number;
}

/** Smaller gains are noise. */
const leastGain = 0.03;
const mostRounds = 7;

/** Throws what compiling and running with the defaults throws. */
export async function tune(
  graph: Graph,
  opened: OpenDevice,
  inputs: readonly HostTensor[],
  { budget, now, precision }: TuneOptions,
): Promise<Tuned> {
  const end = now() + budget;
  const common = precision === undefined ? {} : { precision };
  const made = async (tuning: Tuning): Promise<LoadedExecutable> =>
    load(compileFor(graph, opened, { ...common, tuning }), opened, { now });
  const candidates = candidatesFor(opened.target);
  const executables: LoadedExecutable[] = [];
  try {
    for (const candidate of candidates) {
      if (executables.length > 0 && now() >= end) break;
      executables.push(await made(executables.length === 0 ? {} : { [anyStep]: candidate }));
    }
    const times = await stepTimes(executables, inputs, () => now() >= end);
    const steps = [...times].map(([key, all]): TunedStep => {
      const best = all.reduce<number>((a, time, i) => {
        const least = (all[a] ?? Number.POSITIVE_INFINITY) * (1 - leastGain);
        return time !== undefined && time < least ? i : a;
      }, 0);
      return { key, times: all, choice: best };
    });
    const better = steps.filter(({ choice }) => choice > 0);
    const tuning = Object.fromEntries(
      better.map(({ key, choice }) => [key, candidates[choice] as Candidate]),
    );
    const [first] = executables as [LoadedExecutable, ...LoadedExecutable[]];
    if (better.length === 0) {
      const [before] = await wholeTimes([first], inputs, now);
      return { tuning: {}, candidates, steps, before: before as number, after: before as number };
    }
    const mixed = await made(tuning);
    executables.push(mixed);
    const [before = 0, after = 0] = await wholeTimes([first, mixed], inputs, now);
    const isFaster = after < before * (1 - leastGain / 3);
    return { tuning: isFaster ? tuning : {}, candidates, steps, before, after };
  } finally {
    for (const executable of executables) await executable.dispose();
  }
}

/** By step: the least time of all its launches in one run, per candidate. */
async function stepTimes(
  executables: readonly LoadedExecutable[],
  inputs: readonly HostTensor[],
  isOver: () => boolean,
): Promise<ReadonlyMap<string, (number | undefined)[]>> {
  const best = new Map<string, (number | undefined)[]>();
  for (let round = 0; round <= mostRounds; round++) {
    for (const [i, executable] of executables.entries()) {
      if (round > 1 && isOver()) return best;
      const { steps } = await executable.profile(inputs);
      // The first run meets code and memory for the first time.
      if (round === 0) continue;
      const totals = new Map<string, number>();
      for (const { key, milliseconds } of steps) {
        totals.set(key, (totals.get(key) ?? 0) + milliseconds);
      }
      for (const [key, total] of totals) {
        const all = best.get(key) ?? executables.map(() => undefined);
        all[i] = Math.min(all[i] ?? Number.POSITIVE_INFINITY, total);
        best.set(key, all);
      }
    }
  }
  return best;
}

/** Medians of whole runs, taken in turns. */
async function wholeTimes(
  executables: readonly LoadedExecutable[],
  inputs: readonly HostTensor[],
  now: () => number,
): Promise<readonly number[]> {
  const times: number[][] = executables.map(() => []);
  for (let round = 0; round <= mostRounds; round++) {
    for (const [i, executable] of executables.entries()) {
      const start = now();
      await executable.run(inputs);
      if (round > 0) times[i]?.push(now() - start);
    }
  }
  return times.map((all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0);
}
