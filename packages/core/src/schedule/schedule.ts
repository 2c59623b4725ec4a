/**
 * The schedule: which nodes become one kernel, in what order.
 *
 *   graph ─ orderOf ─▶ order ─ planHost ─▶ host ─ fuse ─▶ memory, groups ─▶ steps
 *   steps ─ removeUnused ─ mergeMaps ─ placeOver ─▶ steps
 */
import type { Target } from '../base/target.js';
import { part } from '../graph/build.js';
import type { Graph, Node } from '../graph/node.js';
import { fuse } from './fuse.js';
import { type HostPlan, planHost } from './host.js';
import { type InPlaceOptions, placeOver } from './in-place.js';
import { kernelSteps, resultsOf } from './kernel-step.js';
import { isInlineable, kindOf } from './kinds.js';
import { mergeMaps } from './merge.js';
import { orderOf } from './order.js';
import { readsOf, writesOf } from './reads.js';
import type { Pattern, Region, Step } from './step.js';
import { memoryRoot } from './views.js';
import { isWhole } from './whole.js';

export interface ScheduleOptions {
  /** The graph is a region's body: its inputs are in device memory. */
  readonly body?: boolean;
  /** Whose memory steps may write over; of main programs only what would be copied otherwise. */
  readonly inPlace?: InPlaceOptions;
  /** Composites that the device computes by operators of its own. */
  readonly isOperator?: (node: Node) => boolean;
}

const keepInputs: InPlaceOptions = { inputs: () => 'copied' };

/** Steps of a graph whose composites are taken whole (see open.ts). Throws only refusals. */
export function schedule(graph: Graph, target: Target, options: ScheduleOptions = {}): Step[] {
  const order = orderOf(graph);
  const host = planHost(graph, order, options.body === true);
  const isOperator = options.isOperator ?? (() => false);
  const isTaken = (node: Node): boolean => !isOperator(node) && isWhole(node, target);
  const fusion = fuse(graph, order, host, target, isTaken);
  const memory = new Set(fusion.memory);
  const binds = bindsOf(graph);
  const steps: Step[] = [];
  for (const node of order.nodes) {
    const group = fusion.groups.get(node);
    if (host.computed.has(node)) {
      steps.push({ kind: 'host', nodes: [node] }, { kind: 'upload', node });
    } else if (kindOf(node) === 'region') {
      const outputs = resultsOf(node, part);
      steps.push({ kind: 'region', node: node as Region, outputs });
    } else if (group === undefined && isTaken(node)) {
      const outputs = resultsOf(node, part);
      steps.push({ kind: 'kernel', pattern: 'topK', anchor: node, inputs: node.inputs, outputs });
    } else if (node.op === 'composite' && group === undefined) {
      steps.push({ kind: 'operator', node, outputs: resultsOf(node, part) });
    } else if (kindOf(node) === 'root' && group === undefined) {
      const outputs = resultsOf(node, part);
      const inputs = [...new Set(node.inputs)];
      const pattern = node.op as Pattern;
      steps.push({ kind: 'kernel', pattern, anchor: node, inputs, outputs });
    } else if (group !== undefined || isInlineable(node)) {
      const isWritten = group === undefined ? memory.has(node) : group.output === node;
      const isAlias = group === undefined && memoryRoot(node) !== node;
      if (isWritten && !isAlias) {
        steps.push(...kernelSteps(node, group, memory, target.maxBindings));
      }
    }
    if (host.downloaded.has(node)) steps.push({ kind: 'download', node });
    steps.push(...(binds.get(node) ?? []));
  }
  const used = removeUnused(steps, graph, host);
  const merged = mergeMaps(mergeHost(used), target.maxBindings, readsOf);
  return placeOver(merged, graph, options.inPlace ?? keepInputs);
}

function bindsOf(graph: Graph): ReadonlyMap<Node, readonly Step[]> {
  const binds = new Map<Node, Step[]>();
  for (const [symbol, source] of graph.symbols) {
    if (source.from !== 'element') continue;
    const step: Step = { kind: 'bind', symbol, node: source.node, index: source.index };
    binds.set(source.node, [...(binds.get(source.node) ?? []), step]);
  }
  return binds;
}

function removeUnused(steps: readonly Step[], graph: Graph, host: HostPlan): Step[] {
  const needed = new Set<Node>();
  for (const output of graph.outputs) {
    if (!host.computed.has(output)) needed.add(memoryRoot(output));
  }
  const kept: Step[] = [];
  for (const step of steps.toReversed()) {
    const made = writesOf(step);
    if (made.length > 0 && !made.some((node) => needed.has(node))) continue;
    for (const node of readsOf(step)) needed.add(node);
    kept.push(step);
  }
  return kept.reverse();
}

/** Neighbouring host steps become one. */
function mergeHost(steps: readonly Step[]): Step[] {
  const merged: Step[] = [];
  let nodes: Node[] = [];
  for (const step of steps) {
    if (step.kind !== 'host') {
      nodes = [];
      merged.push(step);
    } else if (nodes.length === 0) {
      nodes = [...step.nodes];
      merged.push({ kind: 'host', nodes });
    } else nodes.push(...step.nodes);
  }
  return merged;
}
