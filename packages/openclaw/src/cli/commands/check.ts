/** `claw check MODEL --target T`: does it run there; everything refused at once; no card. */
import { bytesOf, check as checkGraph, elementCount } from '@open-claw/core';
import { quoteText } from '@open-claw/core/internal';
import { analyzeModel, type ImportedModel } from '@open-claw/formats';
import { readSource } from '../../model/load.js';
import { checkPolicies } from '../../model/options.js';
import { givenInputs, type ModelPort, outputPorts, portOf } from '../../model/ports.js';
import { factsForSizes } from '../../model/prepared.js';
import type { Context } from '../context.js';
import type { GivenOptions, ParsedOptions } from '../options.js';
import type { CommandResult } from '../result.js';
import { bytesText, factLines, tableText } from '../table.js';
import { fill } from '../text.js';
import { chooseTarget } from './target.js';

/** One thing that does not run there. */
interface Refused {
  readonly operator: string;
  /** Node of the file where the importer refuses it. */
  readonly node?: string;
  readonly reason: string;
}

export async function check(
  source: string,
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { texts } = context;
  const { load } = options;
  const { target, language, facts } = await chooseTarget(given, options, context);
  checkPolicies(load);
  const { proto, name } = await readSource(source, { ...load, signal: context.signal });
  const sizes = load.sizes ?? {};
  const inputs = factsForSizes(proto, sizes);
  const imported = analyzeModel(proto, { sizes, inputs, fileName: name });
  const needs = neededInputs(imported);
  const refused: Refused[] = imported.refusals
    .filter((each) => each.needs.length === 0)
    .map(({ operator, node, reason }) => ({ operator, node, reason: quoteText(reason) }));
  const { precision = 'highest' } = load;
  const report =
    imported.refusals.length === 0
      ? checkGraph(imported.graph, target, language, { precision })
      : undefined;
  for (const { operator, error } of report?.refusals ?? []) {
    refused.push({ operator, reason: error.what });
  }
  const ports = givenInputs(proto).map((info) => portOf(info, sizes));
  const bytes = {
    // What is refused has no plan.
    constants: refused.length === 0 ? (report?.constantBytes ?? null) : null,
    inputs: portBytes(ports),
    outputs: portBytes(outputPorts(proto, sizes, imported)),
    /** Most device memory at one time, constants included; null while a size is unknown. */
    total: refused.length === 0 ? (report?.totalBytes ?? null) : null,
  };
  const fallbacks = report?.fallbacks ?? [];
  const runs = refused.length === 0;
  const details = { model: quoteText(name), target: target.id, count: refused.length };
  const rows = groupRefusals(refused);
  const byteText = (count: number | null): string => (count === null ? '?' : bytesText(count));
  const text = [
    `${fill(runs ? texts.runsOn : texts.refusedOn, details)}\n`,
    rows.length === 0 ? '' : tableText([texts.operator, texts.node, texts.reason], rows),
    needs.length === 0 ? '' : `${fill(texts.needs, { names: needs.map(quoteText).join(', ') })}\n`,
    factLines([
      [texts.constants, byteText(bytes.constants)],
      [texts.inputs, byteText(bytes.inputs)],
      [texts.outputs, byteText(bytes.outputs)],
      [texts.peak, byteText(bytes.total)],
      [texts.fallbacks, fallbacks.length === 0 ? texts.none : fallbacks.length],
    ]),
  ].join('');
  const json = { model: name, target: target.id, runs, refused, needs, fallbacks, bytes };
  return { facts, json, text, exit: runs ? 0 : 3 };
}

/** One row for refusals that differ in nothing but their place, with how many there are. */
function groupRefusals(refused: readonly Refused[]): string[][] {
  const groups = new Map<string, { row: string[]; count: number }>();
  for (const { operator, node, reason } of refused) {
    const row = [operator, node ?? '', reason];
    const key = row.join('\n');
    const group = groups.get(key) ?? { row, count: 0 };
    group.count++;
    groups.set(key, group);
  }
  return [...groups.values()].map(({ row: [operator = '', ...rest], count }) => [
    count === 1 ? operator : `${operator} ×${count}`,
    ...rest,
  ]);
}

const neededInputs = ({ refusals }: ImportedModel): readonly string[] => [
  ...new Set(refusals.flatMap((each) => each.needs.map(({ input }) => input))),
];

/** Null where a size is not known. */
function portBytes(ports: readonly ModelPort[]): number | null {
  let total = 0;
  for (const { dtype, shape } of ports) {
    const isKnown = shape?.every((size) => typeof size === 'number') === true;
    if (!isKnown || dtype === undefined) return null;
    total += elementCount(shape as readonly number[]) * bytesOf(dtype);
  }
  return total;
}
