/** What compiling a graph would refuse and running it would take; needs no card. */
import type { Target } from '../base/target.js';
import { kernelTable, type Refusal } from '../codegen/kernel-table.js';
import type { Language } from '../codegen/language.js';
import { type MemoryReport, reportMemory } from '../codegen/memory-report.js';
import type { Fallback } from '../codegen/program.js';
import { type CompileOptions, mainOf } from '../compile.js';
import type { Graph } from '../graph/node.js';
import { choicesOf } from '../kernel/lowered.js';

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
  const table = kernelTable(target, language, choicesOf(options));
  const main = mainOf(graph, target, table, options);
  const memory = reportMemory(main, target, options.sizes ?? new Map());
  return { refusals: table.refusals, fallbacks: [], ...memory };
}
