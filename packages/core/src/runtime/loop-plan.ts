/**
 * Loops whose number of rounds is known before they begin and whose bodies only launch kernels:
 * all rounds are one list of commands, made once for as long as the memory stays where it is.
 */
import type { Result } from '../codegen/program.js';
import type { Command, MemoryArgument } from './contract.js';
import { isSamePlace, type LaunchesOnly } from './frame.js';
import { copyCommand } from './session.js';

/** More commands than this are made round by round. */
export const mostCommands = 4096;

export interface LoopPlan {
  readonly commands: readonly Command[];
  /** Whether the memory of all bodies is where it was. */
  isCurrent(): boolean;
  /** Whether the plan is for these sizes and places. */
  isFor(environment: ReadonlyMap<string, number>, places: readonly MemoryArgument[]): boolean;
}

/** Where a loop's values lie, in the order of the step. */
export interface LoopPlaces {
  readonly inputs: readonly MemoryArgument[];
  readonly outputs: readonly MemoryArgument[];
  readonly spare: readonly MemoryArgument[];
}

/** A copy between two places; none where they are one. */
export function copyBetween(from: MemoryArgument, to: MemoryArgument): readonly Command[] {
  return to.bytes === 0 || isSamePlace(from, to) ? [] : [copyCommand(from, to, to.bytes)];
}

/** What a body of launches makes of its results: copies to where they are wanted. */
export function copiesOf(
  { places }: LaunchesOnly,
  results: readonly Result[],
  to: readonly (MemoryArgument | undefined)[],
): readonly Command[] {
  return results.flatMap(({ buffer }, i) => {
    const from = places.get(buffer as number);
    const target = to[i];
    return from === undefined || target === undefined ? [] : copyBetween(from, target);
  });
}

/** The plan for lists of commands that hold while `parts` do. */
export function planOf(
  commands: readonly Command[],
  parts: readonly LaunchesOnly[],
  environment: ReadonlyMap<string, number>,
  { inputs, outputs, spare }: LoopPlaces,
): LoopPlan {
  const sizes = [...environment];
  const given = [...inputs, ...outputs, ...spare];
  return {
    commands,
    isCurrent: () => parts.every((part) => part.isCurrent()),
    isFor: (now, places) =>
      now.size === sizes.length &&
      sizes.every(([name, size]) => now.get(name) === size) &&
      places.length === given.length &&
      places.every((place, i) => isSamePlace(place, given[i])),
  };
}
