/**
 * Fusion: which values are written to memory, and which are computed again inside the kernels
 * that need them. Takes an ordered graph; gives the set of values in memory and the groups.
 */
import { elementCount } from '../base/host-tensor.js';
import type { Target } from '../base/target.js';
import type { Graph, Node } from '../graph/node.js';
import { type Group, groupOf } from './group.js';
import type { HostPlan } from './host.js';
import { attentionOperands } from './key-pieces.js';
import { isInlineable, kindOf, workOf } from './kinds.js';
import { isOfConstants, packsOperands, roundedOperand, shiftedBytes } from './operands.js';
import type { Order } from './order.js';
import { memoryRoot, operandBase } from './views.js';
import { groupOfWhole } from './whole.js';
import { isReused, isWidening } from './widen.js';

/** Work up to which a value is computed again by each of several kernels. */
const cheapWork = 4;
/** Work up to which a value is computed again for each element that a broadcast or gap adds. */
const broadcastWork = 8;
/** Work of one kernel's expression, after which the chain is cut. */
const mostWork = 192;

export interface Fusion {
  /** Values that live in device memory at some time. */
  readonly memory: ReadonlySet<Node>;
  /** The group that a node belongs to. */
  readonly groups: ReadonlyMap<Node, Group>;
}

/** `isWhole`: composites that one kernel computes. */
export function fuse(
  graph: Graph,
  order: Order,
  host: HostPlan,
  target: Target,
  isWhole: (node: Node) => boolean,
): Fusion {
  const leaving = new Set<Node>([...graph.outputs, ...host.downloaded]);
  const groups = findGroups(order, host, leaving, isWhole);
  const written = new Set<Node>();
  for (const node of order.nodes) if (isWritten(node, groups, host)) written.add(node);
  const forced = forcedValues(order, groups, host, written, leaving, target);
  const work = estimateWork(order, written, groups, forced);
  return { memory: choose(order, groups, host, new Set([...forced, ...written]), work), groups };
}

function findGroups(
  order: Order,
  host: HostPlan,
  leaving: ReadonlySet<Node>,
  isWhole: (node: Node) => boolean,
): Map<Node, Group> {
  const groups = new Map<Node, Group>();
  const taken = (node: Node): boolean => groups.has(node) || host.computed.has(node);
  for (const node of order.nodes) {
    const whole = isWhole(node);
    if ((kindOf(node) !== 'anchor' && !whole) || taken(node)) continue;
    const group = (whole ? groupOfWhole : groupOf)(node, { order, leaving, taken });
    for (const member of group?.members ?? []) groups.set(member, group as Group);
  }
  return groups;
}

/** Values that are in memory whatever else is decided. */
function isWritten(node: Node, groups: ReadonlyMap<Node, Group>, host: HostPlan): boolean {
  if (host.computed.has(node)) return true;
  const group = groups.get(node);
  if (group !== undefined) return group.output === node;
  if (node.op === 'constant') return !isScalarConstant(node);
  return !isInlineable(node);
}

/** A constant that kernels hold as a literal. */
export const isScalarConstant = (node: Node): boolean =>
  node.op === 'constant' && elementCount(node.attributes.tensor.shape) === 1;

/** Values that some user can read only from memory. */
function forcedValues(
  order: Order,
  groups: ReadonlyMap<Node, Group>,
  host: HostPlan,
  written: ReadonlySet<Node>,
  leaving: ReadonlySet<Node>,
  target: Target,
): Set<Node> {
  const forced = new Set<Node>(leaving);
  for (const node of order.nodes) {
    if (host.computed.has(node)) continue;
    const kind = kindOf(node);
    const whole = groups.get(node)?.anchor === node && kind === 'root';
    const fromMemory = !whole && (kind === 'root' || kind === 'region');
    if (fromMemory) for (const input of node.inputs) forced.add(input);
    if (node.op === 'gather') forced.add(node.inputs[0] as Node);
    if (node.op === 'contract' || node.op === 'window' || whole) {
      const apart = node.op === 'composite' ? attentionOperands(node, target) : undefined;
      (apart ?? node.inputs).forEach((operand, i) => {
        const isPacked = packsOperands(target) && node.op === 'contract';
        if (isPacked && i === 1 && isOfConstants(operand)) return;
        const base = isPacked ? roundedOperand(shiftedBytes(operand), node, target) : operand;
        const once = isPacked && i === 0 && isReused(node) && !isOfConstants(operand);
        const inMemory = (value: Node): boolean =>
          written.has(value) || (once && isWidening(value));
        forced.add(operandBase(base, inMemory));
      });
    }
    const group = groups.get(node);
    if (group?.pattern === 'reduction' && group.anchor === node) {
      for (const input of repeatedInputs(group)) forced.add(input);
    }
  }
  return forced;
}

/** Inputs of a reduction that several of its passes read, where they cost a series. */
function repeatedInputs(group: Group): readonly Node[] {
  const readers = new Map<Node, number>();
  for (const member of group.members) {
    for (const input of new Set(member.inputs)) {
      if (!group.members.has(input)) readers.set(input, (readers.get(input) ?? 0) + 1);
    }
  }
  return [...readers].filter(([node, count]) => count > 1 && workOf(node) >= 16).map(([n]) => n);
}

/**
 * Work per element of each value, counting a value in memory as one load. Adds to `forced` the
 * values at which a chain is cut.
 */
function estimateWork(
  order: Order,
  written: ReadonlySet<Node>,
  groups: ReadonlyMap<Node, Group>,
  forced: Set<Node>,
): ReadonlyMap<Node, number> {
  const work = new Map<Node, number>();
  for (const node of order.nodes) {
    if (written.has(node) || groups.has(node)) {
      work.set(node, 1);
      continue;
    }
    let total = workOf(node);
    for (const input of node.inputs) {
      const cost = forced.has(input) ? 1 : (work.get(input) as number);
      const spread = node.op === 'expand' || node.op === 'concat' || node.op === 'pad';
      if (spread && cost > broadcastWork) forced.add(input);
      total += forced.has(input) ? 1 : cost;
    }
    if (total > mostWork) forced.add(node);
    work.set(node, total);
  }
  return work;
}

/** Which kernel computes a value: one by its output, or several. */
type Place = Node | 'several' | undefined;

function choose(
  order: Order,
  groups: ReadonlyMap<Node, Group>,
  host: HostPlan,
  memory: Set<Node>,
  work: ReadonlyMap<Node, number>,
): ReadonlySet<Node> {
  const places = new Map<Node, Place>();
  for (const node of order.nodes.toReversed()) {
    const group = groups.get(node);
    if (host.computed.has(node)) continue;
    if (group !== undefined) {
      places.set(node, group.output);
      continue;
    }
    const place = placeOf(node, order, host, memory, places);
    places.set(node, place);
    if (place === 'several' && (work.get(node) as number) > cheapWork) memory.add(node);
    if (!memory.has(node)) continue;
    places.set(node, node);
    // A reshape in memory is another name of the memory below it.
    const root = memoryRoot(node);
    memory.add(root);
  }
  return memory;
}

function placeOf(
  node: Node,
  order: Order,
  host: HostPlan,
  memory: ReadonlySet<Node>,
  places: ReadonlyMap<Node, Place>,
): Place {
  let place: Place;
  for (const user of order.users.get(node) ?? []) {
    if (host.computed.has(user)) continue;
    const next = memory.has(user) ? user : places.get(user);
    if (next === undefined) continue;
    if (next === 'several' || (place !== undefined && place !== next)) return 'several';
    place = next;
  }
  return place;
}
