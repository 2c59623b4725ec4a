/** `claw explain MODEL`: what the compiler makes of a model, stage by stage. */
import { compile, type Precision, type Program } from '@open-claw/core';
import {
  expressions,
  isWhole,
  primitivesOf,
  printGraph,
  printProgram,
  printSteps,
  type Size,
  schedule,
} from '@open-claw/core/internal';
import { importModel } from '@open-claw/formats';
import { readSource } from '../../model/load.js';
import { checkPolicies } from '../../model/options.js';
import { factsForSizes } from '../../model/prepared.js';
import type { KnownTarget } from '../../targets.js';
import type { Context } from '../context.js';
import { choice, type GivenOptions, type ParsedOptions } from '../options.js';
import type { CommandResult } from '../result.js';
import { bytesText, factLines, tableText } from '../table.js';
import { chooseTarget } from './target.js';

type Graph = Parameters<typeof compile>[0];
type TileProgram = Parameters<typeof printProgram>[0];

const stages = ['graph', 'schedule', 'kernel', 'source'] as const;
type Stage = (typeof stages)[number];

export async function explain(
  source: string,
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { texts, signal } = context;
  const stage =
    given.stage === undefined ? undefined : choice('--stage', given.stage, stages, texts);
  const chosen = await chooseTarget(given, options, context);
  checkPolicies(options.load);
  const { proto, name } = await readSource(source, { ...options.load, signal });
  const sizes = options.load.sizes ?? {};
  const inputs = factsForSizes(proto, sizes);
  const { graph } = importModel(proto, { sizes, inputs, fileName: name });
  const shared = { model: name, target: chosen.target.id };
  const precision = options.load.precision ?? 'highest';
  if (stage !== undefined) {
    const text = stageText(stage, graph, chosen, precision);
    return { facts: chosen.facts, json: { ...shared, precision, stage, text }, text: `${text}\n` };
  }
  const { program, kernels } = compiled(graph, chosen, precision);
  const summary = summaryOf(program, kernels);
  return {
    facts: chosen.facts,
    json: { ...shared, precision, ...summary, fallbacks: program.fallbacks },
    text: summaryText(summary, program, context),
  };
}

function stageText(stage: Stage, graph: Graph, chosen: KnownTarget, precision: Precision): string {
  switch (stage) {
    case 'graph':
      return printGraph(graph).trimEnd();
    case 'schedule':
      return scheduleText(graph, chosen);
    case 'kernel':
      return compiled(graph, chosen, precision).kernels.map(printProgram).join('\n');
    case 'source': {
      const { source } = compiled(graph, chosen, precision).program;
      return source?.text?.trimEnd() ?? hexText(source?.bytes ?? new Uint8Array());
    }
  }
}

/** The steps that are compiled: composites that kernels take stay whole. */
function scheduleText(graph: Graph, { target }: KnownTarget): string {
  const primitives = primitivesOf(graph, (node) => isWhole(node, target), target);
  return printSteps(schedule(primitives, target));
}

/** Compiles, and keeps the tile programs that the language is given at the end. */
function compiled(graph: Graph, { target, language }: KnownTarget, precision: Precision) {
  let kernels: readonly TileProgram[] = [];
  const listening = {
    name: language.name,
    emit: (...[programs, of]: Parameters<typeof language.emit>) => {
      kernels = programs;
      return language.emit(programs, of);
    },
  };
  const program = compile(graph, target, listening, { precision });
  // While kernels are fitted, each is emitted alone: without a source there was no last call.
  return { program, kernels: program.source === undefined ? [] : kernels };
}

/** Bytes of a binary language, sixteen to a line. */
function hexText(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0'));
    lines.push(`${at.toString(16).padStart(8, '0')}  ${row.join(' ')}`);
  }
  return lines.join('\n');
}

interface Cost {
  readonly operator: string;
  readonly kernel: string;
  /** A number where all sizes are known, else the expression. */
  readonly flops: number | string;
  readonly bytes: number | string;
}

interface Summary {
  readonly steps: readonly Cost[];
  readonly kernels: number;
  readonly hostSteps: number;
  readonly constantBytes: number;
}

const sizeText = (size: Size): number | string =>
  typeof size === 'number' ? size : expressions.printExpression(size);

function summaryOf(program: Program, kernels: readonly TileProgram[]): Summary {
  const { main, operators } = program;
  const launches = main.steps.flatMap((step) => (step.kind === 'launch' ? [step] : []));
  const constants = main.buffers.filter(({ role }) => role === 'constant' || role === 'once');
  return {
    steps: launches.map(({ operator, entry, flops, bytes }) => ({
      operator: operators[operator] as string,
      kernel: entry,
      flops: sizeText(flops),
      bytes: sizeText(bytes),
    })),
    kernels: kernels.length,
    hostSteps: main.steps.filter(({ kind }) => kind === 'host').length,
    constantBytes: constants.reduce((total, { bytes }) => total + Number(bytes), 0),
  };
}

function summaryText(summary: Summary, { fallbacks }: Program, { texts }: Context): string {
  const { steps, kernels, hostSteps, constantBytes } = summary;
  return [
    tableText(
      [texts.steps, texts.kernels, texts.cost, texts.bytes],
      steps.map(({ operator, kernel, flops, bytes }) => [operator, kernel, flops, bytes]),
    ),
    factLines([
      [texts.kernels, kernels],
      [texts.hostSteps, hostSteps],
      [texts.constants, bytesText(constantBytes)],
      [
        texts.fallbacks,
        fallbacks.length === 0 ? texts.none : fallbacks.map((f) => f.op).join(', '),
      ],
    ]),
  ].join('\n');
}
