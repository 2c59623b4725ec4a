/** Rules of a schedule: what a step reads was made before it. Throws OC-INTERNAL-01. */
import { internal } from '../base/errors.js';
import type { Graph, Node } from '../graph/node.js';
import { variablesOfNode } from '../graph/symbols.js';
import { readsOf, writesOf } from './reads.js';
import type { Step } from './step.js';
import { memoryRoot } from './views.js';

export function verifySteps(graph: Graph, steps: readonly Step[]): void {
  const device = new Set<Node>();
  const host = new Set<Node>();
  const bound = new Set<string>();
  const pending = new Set<string>();
  for (const [name, source] of graph.symbols) if (source.from === 'element') pending.add(name);
  const isGiven = (node: Node): boolean => node.op === 'input' || node.op === 'constant';
  steps.forEach((step, at) => {
    const fail = (what: string): never => {
      throw internal(`step ${at} (${step.kind}): ${what}`);
    };
    for (const node of readsOf(step)) {
      if (!device.has(node) && !isGiven(node)) fail(`reads ${node.op} ${node.id}, not made yet`);
    }
    for (const node of writesOf(step)) {
      if (device.has(node)) fail(`makes ${node.op} ${node.id} again`);
      for (const { name } of variablesOfNode(node)) {
        if (pending.has(name) && !bound.has(name)) fail(`needs ${name}, not bound yet`);
      }
      device.add(node);
    }
    if (step.kind === 'kernel') {
      for (const node of [...step.inputs, ...step.outputs]) {
        if (node.dtype === 'string') fail('has strings');
      }
    }
    if (step.kind === 'download') host.add(step.node);
    if (step.kind === 'host') for (const node of step.nodes) host.add(node);
    if (step.kind === 'upload' && !host.has(step.node)) fail('uploads what the host has not');
    if (step.kind === 'bind') {
      if (!host.has(step.node) && !isGiven(step.node)) fail('binds from what the host has not');
      bound.add(step.symbol);
    }
  });
  for (const output of graph.outputs) {
    const root = memoryRoot(output);
    if (!device.has(root) && !host.has(output) && !isGiven(root)) {
      throw internal(`no step makes the output ${output.op} ${output.id}`);
    }
  }
}
