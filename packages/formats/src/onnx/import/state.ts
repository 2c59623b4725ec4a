/** What the importer knows while it walks a model: scopes of names, function frames, refusals. */

import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  normalizeDomain,
  type ValueType,
} from '../model.js';
import { failure, type Node, quoteText, type Requirement } from './core.js';
import type { OperatorEntry } from './registry.js';
import type { Value } from './value.js';

/** One node that was not imported. */
export interface Refusal {
  readonly operator: string;
  readonly domain: string;
  readonly version: number;
  /** Name and place of the node, safe to print. */
  readonly node: string;
  readonly reason: string;
  /** Inputs of the model whose values or shapes would make it importable. */
  readonly needs: readonly Need[];
}

export interface Need {
  readonly input: string;
  readonly what: 'value' | 'shape';
}

/** Names of one body; `outer` is the graph around a subgraph. */
export interface Scope {
  readonly names: Map<string, Value>;
  readonly outer: Scope | null;
}

/** Shared by all bodies of one import. */
export interface ImportState {
  readonly operators: ReadonlyMap<string, OperatorEntry>;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  /** The model's input behind a graph input node. */
  readonly inputNames: Map<Node, string>;
  readonly refusals: Refusal[];
  readonly requirements: Requirement[];
  readonly file: string;
  /** Nodes imported so far and how many may be, loops that are unrolled included. */
  readonly count: { nodes: number };
  readonly nodeLimit: number;
}

/** Environment of a body: versions, attributes of the function around it, names. */
export interface Frame {
  readonly state: ImportState;
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes of the call, by name; null outside functions. */
  readonly attributes: ReadonlyMap<string, AttributeProto> | null;
  readonly scope: Scope;
  /** What the file says about the types of the body's values. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Names of the functions and subgraphs around, for messages. */
  readonly place: string;
  /** Whether the body becomes a region of its own. */
  readonly inRegion: boolean;
  /** Functions and subgraphs around. */
  readonly depth: number;
}

/** Deeper nesting is refused: each level takes part of the host's call stack. */
export const depthLimit = 128;

export function lookUp(scope: Scope, name: string): Value | undefined {
  for (let at: Scope | null = scope; at !== null; at = at.outer) {
    const found = at.names.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A refusal on its way from an operator's import to the list. */
export class RefusedNode extends Error {
  readonly needs: readonly Need[];

  constructor(reason: string, needs: readonly Need[] = []) {
    super(reason);
    this.name = 'RefusedNode';
    this.needs = needs;
  }
}

const newestOpsets: Readonly<Record<string, number>> = { '': 28 };

/** Opset in force for a domain; domains that the body does not import have the newest. */
export const opsetOf = (frame: Frame, domain: string): number =>
  frame.opsets.get(normalizeDomain(domain)) ?? newestOpsets[normalizeDomain(domain)] ?? 1;

/** `graph "main" node "conv1"` with untrusted text quoted. */
export function placeOf(frame: Frame, node: NodeProto): string {
  const name = node.name === '' ? `output "${node.outputs[0] ?? ''}"` : `"${node.name}"`;
  return quoteText(`${frame.place} ${name}`.slice(-160));
}

/** Names that the nodes of a subgraph use and do not make. */
export function freeNames(graph: GraphProto): ReadonlySet<string> {
  const own = new Set<string>([
    ...graph.inputs.map((each) => each.name),
    ...graph.initializers.map((each) => each.name),
    ...graph.sparseInitializers.map((each) => each.values.name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ]);
  const used = new Set<string>();
  const use = (name: string): void => {
    if (name !== '' && !own.has(name)) used.add(name);
  };
  for (const node of graph.nodes) {
    for (const name of node.inputs) use(name);
    for (const inner of subgraphsOf(node)) for (const name of freeNames(inner)) use(name);
  }
  for (const output of graph.outputs) use(output.name);
  return used;
}

export function subgraphsOf(node: NodeProto): readonly GraphProto[] {
  return node.attributes.flatMap((each) =>
    each.kind === 'graph' ? [each.value] : each.kind === 'graphs' ? each.value : [],
  );
}

/** One error for all refusals of a model. */
export function refusalError(refusals: readonly Refusal[], file: string): Error {
  const lines = refusals.map(
    (each) => `${each.operator} (${each.domain || 'ai.onnx'} ${each.version}): ${each.reason}`,
  );
  const details = { count: refusals.length, list: [...new Set(lines)].join('; ') };
  return failure('OC-ONNX-32', details, { where: file, kind: 'refused' });
}
