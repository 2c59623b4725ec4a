/**
 * Which nodes the host computes: strings, and the shape arithmetic that gives symbols their
 * numbers. Tensor arithmetic never moves here: what is not small stays on the device and is
 * downloaded where a symbol needs it.
 */
import { isFloat } from '../base/dtype.js';
import { refused } from '../base/errors.js';
import type { Graph, Node } from '../graph/node.js';
import { type Order, symbolNodes } from './order.js';

/** Elements of the largest tensor that counts as shape arithmetic. */
const mostElements = 4096;
const mostFloats = 16;

export interface HostPlan {
  /** Nodes that the interpreter computes. */
  readonly computed: ReadonlySet<Node>;
  /** Device values that host steps or symbols need. */
  readonly downloaded: ReadonlySet<Node>;
}

/** Never shape arithmetic, however small. */
const heavy: ReadonlySet<string> = new Set([
  'contract',
  'window',
  'if',
  'loop',
  'while',
  'composite',
  'randomBits',
  'sort',
  'compact',
  'part',
]);

/** Decides for a whole program, or for a region's body, whose inputs are in device memory. */
export function planHost(graph: Graph, order: Order, body: boolean): HostPlan {
  const hostable = new Set<Node>();
  for (const node of order.nodes) {
    if (isHostable(node, hostable, body)) hostable.add(node);
  }
  const computed = new Set<Node>();
  const downloaded = new Set<Node>();
  const pending: Node[] = [...symbolNodes(graph).values()];
  for (const node of order.nodes) {
    if (!touchesStrings(node)) continue;
    if (body || heavy.has(node.op)) throw refused('string', 'strings inside a region');
    if (isLeaf(node)) continue;
    computed.add(node);
    pending.push(...node.inputs);
  }
  const seen = new Set<Node>();
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (seen.has(node) || touchesStrings(node)) continue;
    seen.add(node);
    if (!hostable.has(node)) downloaded.add(node);
    else if (!isLeaf(node)) {
      computed.add(node);
      pending.push(...node.inputs);
    }
  }
  return { computed, downloaded };
}

const isLeaf = (node: Node): boolean => node.op === 'input' || node.op === 'constant';

const touchesStrings = (node: Node): boolean =>
  node.dtype === 'string' || node.inputs.some((input) => input.dtype === 'string');

function isHostable(node: Node, known: ReadonlySet<Node>, body: boolean): boolean {
  if (node.op === 'constant' || node.op === 'size') return true;
  if (node.op === 'input') return !body;
  if (heavy.has(node.op) || !isSmall(node)) return false;
  return node.inputs.every((input) => known.has(input));
}

function isSmall(node: Node): boolean {
  const count = node.shape.reduce<number>(
    (total, size) => total * (typeof size === 'number' ? size : mostElements + 1),
    1,
  );
  return count <= (isFloat(node.dtype) ? mostFloats : mostElements);
}
