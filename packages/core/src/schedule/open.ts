/**
 * Graph passes before scheduling: composites are replaced by their bodies in primitives, and a
 * long concatenation by a tree of short ones; in the bodies of regions too.
 */
import { concat } from '../graph/build.js';
import { make } from '../graph/make.js';
import type { Attributes, Graph, Node, OpName } from '../graph/node.js';
import { inline, rewrite, type Visit } from '../graph/rewrite.js';
import { bodiesOf } from '../graph/symbols.js';
import { mostInputs } from './kernel-step.js';

/** Pieces that one kernel tells apart by comparing the index. */
const mostPieces = 8;

export type Pass = (graph: Graph) => Graph;

/** A pass over a graph and the bodies of its regions; the same object where nothing changes. */
export function deepPass(visitOf: (pass: Pass) => Visit): Pass {
  const done = new WeakMap<Graph, Graph>();
  const pass: Pass = (graph) => {
    const known = done.get(graph);
    if (known !== undefined) return known;
    const visit = visitOf(pass);
    const made = rewrite(graph, (node, original) => {
      const replaced = visit(node, original);
      if (replaced !== undefined) return replaced;
      if (bodiesOf(node).every((body) => pass(body) === body)) return undefined;
      return make(node.op, node.inputs, withBodies(node, pass));
    });
    done.set(graph, made);
    return made;
  };
  return pass;
}

function withBodies(node: Node, pass: Pass): Attributes[OpName] {
  switch (node.op) {
    case 'if': {
      const { then: yes, else: no } = node.attributes;
      return { then: pass(yes), else: pass(no) };
    }
    case 'loop':
      return { ...node.attributes, body: pass(node.attributes.body) };
    case 'while':
      return { ...node.attributes, body: pass(node.attributes.body) };
    default:
      return node.attributes;
  }
}

const opening = (stays: (node: Node) => boolean): Pass =>
  deepPass((pass) => (node) => {
    if (node.op !== 'composite' || stays(node)) return undefined;
    return inline(pass(node.attributes.body), node.inputs);
  });

/** The graph without composites. */
export const openComposites: Pass = opening(() => false);

/** The graph without composites, but for those that a device takes whole. */
export const openOtherComposites = (graph: Graph, stays: (node: Node) => boolean): Graph =>
  opening(stays)(graph);

const splitting = (most: number): Pass =>
  deepPass(() => (node) => {
    if (node.op !== 'concat' || node.inputs.length <= most) return undefined;
    const { axis } = node.attributes;
    let level = node.inputs;
    while (level.length > most) {
      const pieces = level;
      level = Array.from({ length: Math.ceil(level.length / most) }, (_, i) =>
        concat(pieces.slice(i * most, (i + 1) * most), axis),
      );
    }
    return concat(level, axis);
  });

const splits = new Map<number, Pass>();

/** The graph with at most eight pieces in each concatenation, or as many as a kernel can read. */
export function splitConcats(graph: Graph, maxBindings: number): Graph {
  const most = Math.min(mostPieces, mostInputs(maxBindings));
  const pass = splits.get(most) ?? splitting(most);
  splits.set(most, pass);
  return pass(graph);
}
