/**
 * The whole compiler: a graph and a target → a program. Pure: no chip, no file, no clock.
 *
 *   graph ─ primitivesOf ─▶ primitives ─ schedule ─▶ steps ─ lower ─▶ tile programs
 *                                                      │                  │ emit
 *                                                      └──── assemble ────┴─▶ Program
 *
 * Bodies of regions become procedures of the same program, in the same source.
 */
import { trace } from './base/debug.js';
import type { Target } from './base/target.js';
import { assemble } from './codegen/assemble.js';
import { type KernelTable, kernelTable, throwRefusals } from './codegen/kernel-table.js';
import type { Language } from './codegen/language.js';
import { type Override, overrideOf } from './codegen/override.js';
import type { Procedure, Program } from './codegen/program.js';
import type { Graph, Node } from './graph/node.js';
import { type Choices, choicesOf } from './kernel/lowered.js';
import type { InPlaceOptions } from './schedule/in-place.js';
import { primitivesOf } from './schedule/primitives.js';
import { printSteps } from './schedule/print.js';
import { type ScheduleOptions, schedule } from './schedule/schedule.js';
import { verifySteps } from './schedule/verify.js';
import { isWhole } from './schedule/whole.js';

/** Without a precision: `highest`. */
export interface CompileOptions extends Partial<Choices> {
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
  const table = kernelTable(target, language, choicesOf(options));
  const main = mainOf(graph, target, table, options);
  throwRefusals(table);
  const { operators, programs } = table;
  const program = { target: target.id, main, operators, fallbacks: [] };
  return programs.length === 0 ? program : { ...program, source: language.emit(programs, target) };
}

/** The main procedure; what is refused is in the table. */
export function mainOf(
  graph: Graph,
  target: Target,
  table: KernelTable,
  { donate = [], overrides = [] }: CompileOptions,
): Procedure {
  const given = (index: number) => (donate.includes(index) ? 'given' : 'copied');
  const inPlace: InPlaceOptions = { inputs: given };
  const isOperator = (node: Node): boolean => overrideOf(node, overrides) !== undefined;
  const stays = (node: Node): boolean => isOperator(node) || isWhole(node, target);
  const options = { body: false, inPlace, isOperator, overrides };
  return procedureOf(primitivesOf(graph, stays, target), target, table, options);
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
    procedureOf(innerGraph, target, table, { ...options, body: true, inPlace });
  return assemble(graph, steps, table, { body, inner, overrides });
}
