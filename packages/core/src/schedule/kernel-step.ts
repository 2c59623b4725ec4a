/** Kernel steps from values in memory: finds what a kernel reads, and cuts it where it reads
 * more values than the target can bind. */
import type { Node } from '../graph/node.js';
import type { Group } from './group.js';
import { kindOf } from './kinds.js';
import type { KernelStep } from './step.js';
import { memoryRoot } from './views.js';

/** Whether a value is in memory, itself or as a reshape of one that is. */
export type InMemory = (node: Node) => boolean;

export function inMemoryOf(memory: ReadonlySet<Node>): InMemory {
  return (node) => memory.has(node) || memory.has(memoryRoot(node));
}

/** Nodes computed inside a kernel that writes `output`, inputs first, and the values it reads. */
interface Body {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Node[];
}

function bodyOf(output: Node, members: ReadonlySet<Node>, inMemory: InMemory): Body {
  const nodes: Node[] = [];
  const inputs: Node[] = [];
  const seen = new Set<Node>([output]);
  const stack = [{ node: output, next: 0 }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1] as (typeof stack)[number];
    const child = top.node.inputs[top.next++];
    if (child === undefined) {
      stack.pop();
      nodes.push(top.node);
    } else if (!seen.has(child)) {
      seen.add(child);
      if (!members.has(child) && inMemory(child)) inputs.push(child);
      else stack.push({ node: child, next: 0 });
    }
  }
  return { nodes, inputs };
}

/** Values that a kernel may read: one binding each for its output, status word, packed operand. */
export const mostInputs = (maxBindings: number): number => Math.max(maxBindings - 3, 2);

/** The steps that write `output`: one, and before it those of the values it was cut at. */
export function kernelSteps(
  output: Node,
  group: Group | undefined,
  memory: Set<Node>,
  maxBindings: number,
): KernelStep[] {
  const members = group?.members ?? new Set<Node>();
  const inMemory = inMemoryOf(memory);
  const most = mostInputs(maxBindings);
  const before: KernelStep[] = [];
  let body = bodyOf(output, members, inMemory);
  while (body.inputs.length > most) {
    const cut = cutOf(body, output, members, most);
    if (cut === undefined) break;
    memory.add(cut);
    before.push(...kernelSteps(cut, undefined, memory, maxBindings));
    body = bodyOf(output, members, inMemory);
  }
  const step: KernelStep = {
    kind: 'kernel',
    pattern: group?.pattern ?? 'map',
    anchor: group?.anchor ?? output,
    inputs: body.inputs,
    outputs: [output],
  };
  return [...before, step];
}

/** The inner value that reads most, within what one kernel can bind. */
function cutOf(
  body: Body,
  output: Node,
  members: ReadonlySet<Node>,
  most: number,
): Node | undefined {
  const inputs = new Set(body.inputs);
  const reads = new Map<Node, ReadonlySet<Node>>();
  let best: Node | undefined;
  let bestCount = 1;
  for (const node of body.nodes) {
    const own = new Set<Node>();
    for (const input of node.inputs) {
      if (inputs.has(input)) own.add(input);
      else for (const read of reads.get(input) ?? []) own.add(read);
    }
    reads.set(node, own);
    const allowed = node !== output && !members.has(node) && own.size <= most;
    if (allowed && own.size > bestCount && memoryRoot(node) === node) {
      best = node;
      bestCount = own.size;
    }
  }
  return best;
}

/** The values of a node: its parts where it may have several results. */
export function resultsOf(node: Node, part: (node: Node, index: number) => Node): readonly Node[] {
  const hasParts = node.op !== 'part' && ['sort', 'compact', 'composite'].includes(node.op);
  return hasParts || kindOf(node) === 'region'
    ? node.results.map((_, index) => part(node, index))
    : [node];
}
