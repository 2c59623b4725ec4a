/** Compiled programs in memory, by graph and target; forgotten with the graph. */
import type { Target } from '../base/target.js';
import type { Language } from '../codegen/language.js';
import type { Program } from '../codegen/program.js';
import { type CompileOptions, compile } from '../compile.js';
import type { Graph } from '../graph/node.js';
import type { OpenDevice } from './registry.js';

const programs = new WeakMap<Graph, Map<string, Program>>();

/** The program of a graph for a target; compiled at the first call. */
export function compileOnce(
  graph: Graph,
  target: Target,
  language: Language,
  options: CompileOptions = {},
): Program {
  const known = programs.get(graph) ?? new Map<string, Program>();
  programs.set(graph, known);
  const names = options.overrides?.map(({ composite }) => composite) ?? [];
  const key = JSON.stringify([
    names,
    target,
    language.name,
    options.tuning ?? {},
    options.precision ?? 'highest',
    options.donate ?? [],
  ]);
  const program = known.get(key) ?? compile(graph, target, language, options);
  known.set(key, program);
  return program;
}

/** The program of a graph for an open device, with the operators of its own that it brings. */
export const compileFor = (
  graph: Graph,
  { target, plugin }: OpenDevice,
  options: CompileOptions = {},
): Program =>
  compileOnce(graph, target, plugin.language, { overrides: plugin.overrides ?? [], ...options });
