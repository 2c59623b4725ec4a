/**
 * One program's way through every room as one text: graph, simplified graph, schedule, a tile
 * program per family, and what each language says. Takes the name of a program.
 */
import { compile, isFailure, type Target } from '@open-claw/core';
import {
  cLanguage,
  gpuLanguage,
  type Language,
  type Source,
  scriptLanguage,
  shaderLanguage,
  type TileProgram,
  targetsOfGpus,
  wasmLanguage,
} from '@open-claw/core/device';
import {
  bodiesOf,
  type Graph,
  isWhole,
  type Node,
  nodesOf,
  primitivesOf,
  printGraph,
  printSteps,
  schedule,
} from '@open-claw/core/internal';
import { templateTarget } from '@open-claw/device-template';
import { simdTarget } from '@open-claw/device-wasm';
import { makeTarget, plainMachine, rows } from '../../devices/native/src/targets.js';
import { printProgram } from '../../packages/core/src/kernel/print.js';
import { verifyProgram } from '../../packages/core/src/kernel/verify.js';
import { against, folded, withoutPrelude } from './fold.js';
import { goldenPrograms } from './programs.js';
import { wasmListing } from './wasm-listing.js';

interface Row {
  readonly title: string;
  readonly target: Target;
  readonly language: Language;
  /** Whether its tile programs are shown: one target per family. */
  readonly isFamily: boolean;
}

const gpu = (id: string): Target => targetsOfGpus.find((target) => target.id === id) as Target;
const avx512 = rows.find(({ name }) => name === 'avx512') as (typeof rows)[number];

const tableOfRows: readonly Row[] = [
  {
    title: 'C',
    target: makeTarget(avx512, plainMachine),
    language: cLanguage,
    isFamily: true,
  },
  { title: 'WebAssembly', target: simdTarget, language: wasmLanguage, isFamily: true },
  { title: 'CUDA', target: gpu('cuda/sm_90'), language: gpuLanguage('cuda'), isFamily: true },
  { title: 'WGSL', target: gpu('webgpu/default'), language: shaderLanguage, isFamily: true },
  { title: 'JavaScript', target: templateTarget, language: scriptLanguage, isFamily: false },
  {
    title: 'OpenCL C',
    target: gpu('opencl/generic'),
    language: gpuLanguage('opencl'),
    isFamily: false,
  },
];

export interface Emitted {
  readonly title: string;
  readonly target: Target;
  readonly isFamily: boolean;
  readonly programs: readonly TileProgram[];
  /** Absent where the target refuses the program, by name. */
  readonly source?: Source;
  readonly refusal?: string;
}

/** What every language says for a graph, with the tile programs that it was given. */
export function emitAll(graph: Graph): readonly Emitted[] {
  return tableOfRows.map(({ title, target, language, isFamily }) => {
    let programs: readonly TileProgram[] = [];
    const recorder: Language = {
      name: language.name,
      emit(kernels, at) {
        for (const kernel of kernels) verifyProgram(kernel);
        programs = kernels;
        return language.emit(kernels, at);
      },
    };
    try {
      const { source } = compile(graph, target, recorder);
      if (source === undefined) throw new Error(`${target.id}: the program has no kernel`);
      return { title, target, isFamily, programs, source };
    } catch (error) {
      if (!isFailure(error) || error.kind !== 'refused') throw error;
      return { title, target, isFamily, programs: [], refusal: error.what };
    }
  });
}

/** The graph of a golden program with plain names. */
export function goldenGraph(name: string, nameOf = (plain: string): string => plain): Graph {
  const build = goldenPrograms[name];
  if (build === undefined) throw new Error(`there is no golden program ${name}`);
  return build(nameOf);
}

/** Numbers of nodes as printGraph gives them. */
function numbersOf(graph: Graph): ReadonlyMap<number, number> {
  const numbers = new Map<number, number>();
  let next = 0;
  const visit = (inner: Graph): void => {
    for (const node of nodesOf(inner) as readonly Node[]) {
      numbers.set(node.id, next++);
      for (const body of bodiesOf(node)) visit(body);
    }
  };
  visit(graph);
  return numbers;
}

/** Symbols of the program in the order of the graph: their names differ from run to run. */
function withPlainSymbols(text: string, graph: Graph): string {
  let shown = text;
  [...graph.symbols.keys()].forEach((name, i) => {
    shown = shown.replace(new RegExp(`\\b${name}\\b`, 'g'), `n${i}`);
  });
  return shown;
}

function scheduleText(graph: Graph, target: Target, indent = ''): string {
  const numbers = numbersOf(graph);
  const steps = schedule(graph, target, { body: indent !== '' });
  const text = printSteps(steps).replace(/%(\d+)/g, (_, id: string) => {
    const number = numbers.get(Number(id));
    return number === undefined ? '%?' : `%${number}`;
  });
  const lines = text.split('\n').map((line) => `${indent}${line}`);
  const bodies = steps.flatMap((step) => (step.kind === 'region' ? bodiesOf(step.node) : []));
  const inner = bodies.map((body) => `${indent}  body\n${scheduleText(body, target, '  ')}`);
  return [...lines, ...inner].join('\n');
}

const refusalText = (what: string): string => `refused: ${what}`;

/** The one program that shows what stands before the first kernel. */
const programWithPrelude = 'elementwise-broadcast';

function sourceText({ source, refusal }: Emitted, name: string): string {
  if (source === undefined) return refusalText(refusal ?? '');
  if (source.text === undefined) return wasmListing(source.bytes as Uint8Array);
  return name === programWithPrelude ? source.text : withoutPrelude(source.text);
}

/** The whole journey of a golden program. */
export function journey(name: string): string {
  const graph = goldenGraph(name);
  const primitives = primitivesOf(graph);
  const emitted = emitAll(graph);
  const first = emitted[0] as Emitted;
  const written = printGraph(graph);
  const simplified = printGraph(primitives);
  const shown: { readonly title: string; readonly text: string }[] = [];
  const show = (title: string, text: string): void => {
    const plain = folded(withPlainSymbols(text.trimEnd(), primitives));
    const shorter = shown.map((other) => against(plain, other.text, `in "${other.title}"`));
    const shortest = shorter.reduce((a, b) => (b.length < a.length ? b : a), plain);
    sections.push(`════ ${title} ${'═'.repeat(90 - title.length)}\n\n${shortest}\n`);
    shown.push({ title, text: plain });
  };
  const sections: string[] = [];
  show('graph', written);
  if (simplified !== written) show('graph, opened and simplified', simplified);
  const opened = scheduleText(primitives, first.target);
  show('schedule', opened);
  const kept = primitivesOf(graph, (node) => isWhole(node, first.target));
  const whole = scheduleText(kept, first.target);
  if (whole !== opened) show('schedule where kernels take composites whole', whole);
  for (const { isFamily, target, programs, refusal } of emitted) {
    const text =
      refusal === undefined ? programs.map(printProgram).join('\n') : refusalText(refusal);
    if (isFamily) show(`tile programs for ${target.id}`, text);
  }
  for (const row of emitted) show(`${row.title} for ${row.target.id}`, sourceText(row, name));
  return sections.join('\n');
}
