/** Compiled programs in memory, by graph and target; forgotten with the graph. */
import type { Target } from '../base/target.js';
import type { Program } from '../codegen/program.js';
import type { CompileOptions } from '../compile.js';
import type { Graph } from '../graph/node.js';

const programs = new WeakMap<Graph, Map<string, Program>>();

/** All that a program follows from beside its graph, as text. */
export function choiceText(target: Target, language: string, options: CompileOptions): string {
  return JSON.stringify([
    options.overrides?.map(({ composite }) => composite) ?? [],
    target,
    language,
    options.tuning ?? {},
    options.precision ?? 'highest',
    options.donate ?? [],
  ]);
}

export const knownProgram = (graph: Graph, choices: string): Program | undefined =>
  programs.get(graph)?.get(choices);

export function addProgram(graph: Graph, choices: string, program: Program): Program {
  const known = programs.get(graph) ?? new Map<string, Program>();
  programs.set(graph, known.set(choices, program));
  return program;
}
