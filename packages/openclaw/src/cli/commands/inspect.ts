/** `claw inspect MODEL`: what a model is, without compiling it. */
import { bytesOf, type DType, elementCount } from '@open-claw/core/face';
import {
  dtypeOfNumber,
  type GraphProto,
  type ModelProto,
  type NodeProto,
} from '@open-claw/formats';
import { readSource } from '../../model/load.js';
import { givenInputs, type ModelPort, portOf } from '../../model/ports.js';
import type { Context } from '../context.js';
import type { ParsedOptions } from '../options.js';
import { type CommandResult, noDevice } from '../result.js';
import { bytesText, factLines, shapeText, tableText } from '../table.js';

export async function inspect(
  source: string,
  { load }: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { proto, name } = await readSource(source, { ...load, signal: context.signal });
  const sizes = load.sizes ?? {};
  const facts = {
    model: name,
    producer: `${proto.producerName} ${proto.producerVersion}`.trim(),
    irVersion: proto.irVersion,
    opsets: proto.opsetImport.map(({ domain, version }) => ({
      domain: domain === '' ? 'ai.onnx' : domain,
      version,
    })),
    inputs: givenInputs(proto).map((info) => portOf(info, sizes)),
    outputs: proto.graph.outputs.map((info) => portOf(info, sizes)),
    operators: operatorCounts(proto),
    functions: proto.functions.length,
    ...parameterFacts(proto),
  };
  return { facts: noDevice, json: facts, text: textOf(facts, context) };
}

/** Initializers: how many numbers, and their bytes in memory. */
function parameterFacts(proto: ModelProto): {
  readonly parameters: number;
  readonly bytes: number;
} {
  let [parameters, bytes] = [0, 0];
  for (const { dims, dataType } of proto.graph.initializers) {
    const count = elementCount(dims);
    const dtype: DType | null = dtypeOfNumber(dataType);
    parameters += count;
    bytes += dtype === null ? 0 : count * bytesOf(dtype);
  }
  return { parameters, bytes };
}

/** Nodes by operator, those of subgraphs and functions too; most frequent first. */
function operatorCounts(proto: ModelProto): readonly { operator: string; count: number }[] {
  const counts = new Map<string, number>();
  const visit = (nodes: readonly NodeProto[]): void => {
    for (const { opType, domain, attributes } of nodes) {
      const operator = domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`;
      counts.set(operator, (counts.get(operator) ?? 0) + 1);
      for (const each of attributes) {
        const graphs: readonly GraphProto[] =
          each.kind === 'graph' ? [each.value] : each.kind === 'graphs' ? each.value : [];
        for (const graph of graphs) visit(graph.nodes);
      }
    }
  };
  visit(proto.graph.nodes);
  for (const definition of proto.functions) visit(definition.nodes);
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([operator, count]) => ({ operator, count }));
}

interface Facts {
  readonly model: string;
  readonly producer: string;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  readonly inputs: readonly ModelPort[];
  readonly outputs: readonly ModelPort[];
  readonly operators: readonly { readonly operator: string; readonly count: number }[];
  readonly parameters: number;
  readonly bytes: number;
}

function textOf(facts: Facts, { texts }: Context): string {
  const ports = (title: string, list: readonly ModelPort[]): string =>
    tableText(
      [title, texts.dtype, texts.shape],
      list.map(({ name, kind, dtype, shape }) => [
        name,
        kind === 'tensor' ? (dtype ?? '?') : `${kind}(${dtype ?? '?'})`,
        shapeText(shape),
      ]),
    );
  return [
    factLines([
      [texts.model_, facts.model],
      [texts.producer, facts.producer],
      [texts.opsets, facts.opsets.map((each) => `${each.domain} ${each.version}`).join(', ')],
      [texts.parameters, `${facts.parameters} (${bytesText(facts.bytes)})`],
    ]),
    ports(texts.inputs, facts.inputs),
    ports(texts.outputs, facts.outputs),
    tableText(
      [texts.operators, ''],
      facts.operators.map(({ operator, count }) => [operator, count]),
    ),
  ].join('\n');
}
