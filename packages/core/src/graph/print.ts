/** Readable text of a graph, one line per node, numbered from 0 by structure. */
import { quoteText } from '../base/errors.js';
import { printExpression, type Size, substitute, variable } from '../base/expression.js';
import { type HostTensor, readElement } from '../base/host-tensor.js';
import type { Graph, Node, TensorType } from './node.js';
import { nodesOf } from './traverse.js';

/** Names of one printed text; symbols are renumbered so that ids do not show. */
interface Names {
  readonly counter: { next: number };
  readonly symbols: Map<string, string>;
}

const symbolLetter = { size: 'n', element: 'd', iteration: 'i', outer: 'n' } as const;

function printSize(size: Size, names: Names): string {
  if (typeof size === 'number') return String(size);
  return printExpression(
    substitute(size, (name) => {
      const shown = names.symbols.get(name);
      return shown === undefined ? undefined : variable(shown);
    }),
  );
}

const printSizes = (sizes: readonly Size[], names: Names): string =>
  `[${sizes.map((size) => printSize(size, names)).join(', ')}]`;

const printTyped = (type: TensorType, names: Names): string =>
  `${type.dtype}${printSizes(type.shape, names)}`;

const shownElements = 8;

function printTensor(tensor: HostTensor): string {
  const count = Math.min(tensor.data.length, shownElements);
  const values = Array.from({ length: count }, (_, i) => {
    const value = readElement(tensor, i);
    if (typeof value === 'string') return `"${quoteText(value)}"`;
    return Object.is(value, -0) ? '-0' : String(value);
  });
  const rest = tensor.data.length > shownElements ? ', …' : '';
  return tensor.shape.length === 0 ? values.join('') : `{${values.join(', ')}${rest}}`;
}

const isSize = (value: unknown): value is Size =>
  typeof value === 'number' || (typeof value === 'object' && value !== null && 'terms' in value);

function printValue(value: unknown, names: Names): string {
  if (isSize(value)) return Object.is(value, -0) ? '-0' : printSize(value, names);
  if (Array.isArray(value)) return `[${value.map((item) => printValue(item, names)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, item]) => `${name}: ${printValue(item, names)}`)
      .join(', ')}}`;
  }
  return quoteText(String(value));
}

const printPair = (name: string, count: Size, carried: number, names: Names): string =>
  ` {${name}: ${printSize(count, names)}, carried: ${carried}}`;

/** Attributes that the types of the line do not already show. */
function printAttributes(node: Node, names: Names): string {
  switch (node.op) {
    case 'input':
      return ` "${quoteText(node.attributes.name)}"`;
    case 'constant':
      return ` ${printTensor(node.attributes.tensor)}`;
    case 'reshape':
    case 'expand':
    case 'randomBits':
    case 'if':
      return '';
    case 'iota':
      return ` {axis: ${node.attributes.axis}}`;
    case 'loop':
      return printPair('trip', node.attributes.trip, node.attributes.carried, names);
    case 'while':
      return printPair('limit', node.attributes.limit, node.attributes.carried, names);
    case 'composite': {
      const { name, parameters } = node.attributes;
      const shown = Object.keys(parameters).length === 0 ? '' : ` ${printValue(parameters, names)}`;
      return ` "${quoteText(name)}"${shown}`;
    }
    default: {
      const text = printValue(node.attributes, names);
      return text === '{}' ? '' : ` ${text}`;
    }
  }
}

function labelledBodies(node: Node): readonly (readonly [string, Graph])[] {
  switch (node.op) {
    case 'if':
      return [
        ['then', node.attributes.then],
        ['else', node.attributes.else],
      ];
    case 'loop':
    case 'while':
    case 'composite':
      return [['body', node.attributes.body]];
    default:
      return [];
  }
}

function printInto(graph: Graph, names: Names, indent: string, lines: string[]): void {
  const numbers = new Map<Node, string>();
  for (const [name, source] of graph.symbols) {
    if (names.symbols.has(name)) continue;
    names.symbols.set(name, `${symbolLetter[source.from]}${names.symbols.size}`);
  }
  const refer = (node: Node): string => numbers.get(node) ?? '%?';
  for (const node of nodesOf(graph)) {
    const label = `%${names.counter.next++}`;
    numbers.set(node, label);
    const types = node.results.map((type) => printTyped(type, names)).join(', ');
    const inputs = node.inputs.length === 0 ? '' : `(${node.inputs.map(refer).join(', ')})`;
    lines.push(`${indent}${label}: ${types} = ${node.op}${inputs}${printAttributes(node, names)}`);
    for (const [name, body] of labelledBodies(node)) {
      lines.push(`${indent}  ${name}:`);
      printInto(body, { ...names, symbols: new Map(names.symbols) }, `${indent}    `, lines);
    }
  }
  for (const [name, source] of graph.symbols) {
    const shown = names.symbols.get(name);
    if (source.from === 'size') {
      lines.push(`${indent}symbol ${shown} = size ${source.axis} of ${refer(source.input)}`);
    } else if (source.from === 'element') {
      lines.push(`${indent}symbol ${shown} = element ${source.index} of ${refer(source.node)}`);
    }
  }
  for (const { relation, left, right, what } of graph.requirements) {
    const sign = relation === 'equal' ? '=' : '≥';
    const [l, r] = [printSize(left, names), printSize(right, names)];
    lines.push(`${indent}require ${l} ${sign} ${r}  # ${what}`);
  }
  lines.push(`${indent}return ${graph.outputs.map(refer).join(', ')}`);
}

/** The whole graph with its bodies. Numbers follow the structure, so equal graphs print equal. */
export function printGraph(graph: Graph): string {
  const lines: string[] = [];
  printInto(graph, { counter: { next: 0 }, symbols: new Map() }, '', lines);
  return `${lines.join('\n')}\n`;
}
