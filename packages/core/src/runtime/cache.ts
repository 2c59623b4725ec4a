/** Programs compiled at once, or found in memory where the same was compiled before. */
import type { Target } from '../base/target.js';
import type { Language } from '../codegen/language.js';
import type { Program } from '../codegen/program.js';
import { type CompileOptions, compile } from '../compile.js';
import type { Graph } from '../graph/node.js';
import { addProgram, choiceText, knownProgram } from './program-table.js';
import type { OpenDevice } from './registry.js';

/** The program of a graph for a target; compiled at the first call. */
export function compileOnce(
  graph: Graph,
  target: Target,
  language: Language,
  options: CompileOptions = {},
): Program {
  const choices = choiceText(target, language.name, options);
  const known = knownProgram(graph, choices);
  return known ?? addProgram(graph, choices, compile(graph, target, language, options));
}

/** The program of a graph for an open device, with the operators of its own that it brings. */
export const compileFor = (
  graph: Graph,
  { target, plugin }: OpenDevice,
  options: CompileOptions = {},
): Program =>
  compileOnce(graph, target, plugin.language, { overrides: plugin.overrides ?? [], ...options });
