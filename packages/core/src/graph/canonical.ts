/**
 * A graph as text that is the same in every process: equal texts with equal constants are equal
 * programs. Constants stand in it by their number, type and sizes.
 */
import { keyOf, type Size } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Graph, Node, SymbolSource } from './node.js';
import { nodesOf } from './traverse.js';

export interface CanonicalGraph {
  readonly text: string;
  /** By the numbers in the text; each tensor once. */
  readonly constants: readonly HostTensor[];
}

export function canonicalGraph(graph: Graph): CanonicalGraph {
  const constants = new Map<HostTensor, number>();
  return { text: textOf(graph, constants), constants: [...constants.keys()] };
}

const sizesText = (shape: readonly Size[]): string => shape.map(keyOf).join(',');

function textOf(graph: Graph, constants: Map<HostTensor, number>): string {
  const numbers = new Map<Node, number>();
  const numberOf = (node: Node): number => numbers.get(node) ?? -1;
  const lines: string[] = [];
  for (const node of nodesOf(graph)) {
    const inputs = node.inputs.map(numberOf).join(',');
    const types = node.results.map(({ dtype, shape }) => `${dtype}[${sizesText(shape)}]`);
    const attributes = valueText(node.attributes, constants);
    lines.push(`${node.op}${attributes}(${inputs})${types.join(' ')}`);
    numbers.set(node, numbers.size);
  }
  const { inputs, outputs, symbols, requirements } = graph;
  const sources = [...symbols].map(([name, source]) => `${name}=${sourceText(source, numberOf)}`);
  const rules = requirements.map(
    ({ relation, left, right, what }) => `${keyOf(left)} ${relation} ${keyOf(right)} ${what}`,
  );
  const ends = [(inputs as readonly Node[]).map(numberOf), outputs.map(numberOf)];
  return [...lines, JSON.stringify([ends, sources, rules])].join('\n');
}

function sourceText(source: SymbolSource, numberOf: (node: Node) => number): string {
  if (source.from === 'size') return `size ${numberOf(source.input)} ${source.axis}`;
  if (source.from === 'element') return `element ${numberOf(source.node)} ${source.index}`;
  return source.from;
}

/** Equal for equal attributes; names are quoted, so that none can look like another. */
function valueText(value: unknown, constants: Map<HostTensor, number>): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) {
    return `[${value.map((each) => valueText(each, constants)).join(',')}]`;
  }
  if ('terms' in value && 'key' in value) return `<${value.key}>`;
  if ('outputs' in value && 'symbols' in value) return `{${textOf(value as Graph, constants)}}`;
  if ('data' in value && 'dtype' in value) {
    const tensor = value as HostTensor;
    const number = constants.get(tensor) ?? constants.size;
    constants.set(tensor, number);
    return `#${number} ${tensor.dtype}[${tensor.shape.join(',')}]`;
  }
  const members = Object.entries(value);
  return `{${members.map(([name, each]) => `${name}:${valueText(each, constants)}`).join(',')}}`;
}
