/**
 * Opens composites: each is replaced by its body in primitives, in the bodies of regions too; and
 * a long concatenation becomes a tree of short ones. Takes and gives a graph.
 */
import { concat } from '../graph/build.js';
import { make } from '../graph/make.js';
import type { Attributes, Graph, Node, OpName } from '../graph/node.js';
import { inline, type Replacement, rewrite } from '../graph/rewrite.js';
import { bodiesOf } from '../graph/symbols.js';

/** Pieces that one kernel tells apart by comparing the index. */
const mostPieces = 8;

const opened = new WeakMap<Graph, Graph>();

/** The graph without composites; the same object where it has none. */
export function openComposites(graph: Graph): Graph {
  const known = opened.get(graph);
  if (known !== undefined) return known;
  const made = rewrite(graph, openNode);
  opened.set(graph, made);
  return made;
}

function openNode(node: Node): Replacement | undefined {
  if (node.op === 'composite') return inline(openComposites(node.attributes.body), node.inputs);
  if (node.op === 'concat' && node.inputs.length > mostPieces) {
    return concatTree(node.inputs, node.attributes.axis);
  }
  const bodies = bodiesOf(node);
  if (bodies.every((body) => openComposites(body) === body)) return undefined;
  return make(node.op, node.inputs, openBodies(node));
}

function openBodies(node: Node): Attributes[OpName] {
  switch (node.op) {
    case 'if': {
      const { then: yes, else: no } = node.attributes;
      return { then: openComposites(yes), else: openComposites(no) };
    }
    case 'loop':
      return { ...node.attributes, body: openComposites(node.attributes.body) };
    case 'while':
      return { ...node.attributes, body: openComposites(node.attributes.body) };
    default:
      return node.attributes;
  }
}

function concatTree(pieces: readonly Node[], axis: number): Node {
  let level = pieces;
  while (level.length > mostPieces) {
    const groups = Math.ceil(level.length / mostPieces);
    level = Array.from({ length: groups }, (_, i) => {
      const group = level.slice(i * mostPieces, (i + 1) * mostPieces);
      return group.length === 1 ? (group[0] as Node) : concat(group, axis);
    });
  }
  return concat(level, axis);
}
