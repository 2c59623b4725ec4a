/**
 * The whole compiler: a graph and a target → a program. Pure: no chip, no file, no clock.
 *
 *   graph ─ openComposites ─ simplify ─▶ primitives ─ schedule ─▶ steps ─ lower ─▶ tile programs
 *                                                                  │                  │ emit
 *                                                                  └──── assemble ────┴─▶ Program
 *
 * Bodies of regions become procedures of the same program, in the same source.
 */
import { trace } from './base/debug.js';
import { failure } from './base/errors.js';
import type { Target } from './base/target.js';
import { assemble } from './codegen/assemble.js';
import { type KernelTable, kernelTable, type Refusal } from './codegen/kernel-table.js';
import type { Language } from './codegen/language.js';
import { type MemoryReport, reportMemory } from './codegen/memory-report.js';
import { type Override, overrideOf } from './codegen/override.js';
import type { Fallback, Procedure, Program } from './codegen/program.js';
import { interpretNode } from './graph/interpret.js';
import type { Graph } from './graph/node.js';
import { simplify } from './graph/simplify.js';
import type { Tuning } from './kernel/lowered.js';
import type { InPlaceOptions } from './schedule/in-place.js';
import { openComposites, openOtherComposites, splitConcats } from './schedule/open.js';
import { printSteps } from './schedule/print.js';
import { type ScheduleOptions, schedule } from './schedule/schedule.js';
import { verifySteps } from './schedule/verify.js';

export interface CompileOptions {
  readonly tuning?: Tuning;
  /**
   * Indices of inputs that the caller will give up at each run (see resident.ts): any step may
   * write over them. Updates and scatters do so without being told.
   */
  readonly donate?: readonly number[];
  /** Operators of the device that take composites whole (see contract.ts). */
  readonly overrides?: readonly Override[];
}

/** Throws OC-REFUSED-… where the target cannot do something; all such things at once. */
export function compile(
  graph: Graph,
  target: Target,
  language: Language,
  options: CompileOptions = {},
): Program {
  const table = kernelTable(target, language, options.tuning ?? {});
  const main = mainOf(graph, target, table, options);
  const [first, ...others] = table.refusals;
  if (first !== undefined && others.length === 0) throw first.error;
  if (first !== undefined) {
    const list = table.refusals.map(({ operator, error }) => `${operator}: ${error.what}`);
    const details = { count: list.length, list: [...new Set(list)].join('; ') };
    throw failure('OC-REFUSED-03', details, { kind: 'refused', retry: 'other-device' });
  }
  const { operators, programs } = table;
  const program = { target: target.id, main, operators, fallbacks: [] };
  return programs.length === 0 ? program : { ...program, source: language.emit(programs, target) };
}

/** The graph as the schedule takes it: primitives only, simplified. */
export function primitivesOf(graph: Graph, overrides: readonly Override[] = []): Graph {
  const opened =
    overrides.length === 0
      ? openComposites(graph)
      : openOtherComposites(graph, (node) => overrideOf(node, overrides) !== undefined);
  return splitConcats(simplify(opened, { evaluate: interpretNode }));
}

function mainOf(
  graph: Graph,
  target: Target,
  table: KernelTable,
  { donate = [], overrides = [] }: CompileOptions,
): Procedure {
  const inPlace: InPlaceOptions = {
    inputs: (index) => (donate.includes(index) ? 'given' : 'copied'),
  };
  const options = { body: false, inPlace, overrides };
  return procedureOf(primitivesOf(graph, overrides), target, table, options);
}

function procedureOf(
  graph: Graph,
  target: Target,
  table: KernelTable,
  options: Required<ScheduleOptions> & { readonly overrides: readonly Override[] },
): Procedure {
  const { body, overrides } = options;
  const steps = schedule(graph, target, options);
  trace(2, () => printSteps(steps));
  verifySteps(graph, steps);
  const inner = (innerGraph: Graph, inPlace: InPlaceOptions): Procedure =>
    procedureOf(innerGraph, target, table, { body: true, inPlace, overrides });
  return assemble(graph, steps, table, { body, inner, overrides });
}

export interface CheckOptions extends CompileOptions {
  /** Numbers of symbols, where they are known. */
  readonly sizes?: ReadonlyMap<string, number>;
}

export interface CheckReport extends MemoryReport {
  readonly refusals: readonly Refusal[];
  readonly fallbacks: readonly Fallback[];
}

/** What compiling would refuse and what running would take, without compiling for a card. */
export function check(
  graph: Graph,
  target: Target,
  language: Language,
  options: CheckOptions = {},
): CheckReport {
  const table = kernelTable(target, language, options.tuning ?? {});
  const main = mainOf(graph, target, table, options);
  const memory = reportMemory(main, target, options.sizes ?? new Map());
  return { refusals: table.refusals, fallbacks: [], ...memory };
}
