/**
 * Results in the memory of values that die: says for each step which of its inputs an output may
 * be written over. Takes and gives steps in order.
 *
 * A value dies at the last step that reads it. An update or scatter over a dying value needs no
 * copy; an elementwise kernel may write over one that it reads only at the index it writes.
 */
import { equal, product } from '../base/expression.js';
import type { Graph, Node } from '../graph/node.js';
import { readsOf, writesOf } from './reads.js';
import { isSameIndex } from './same-index.js';
import type { KernelStep, Region, RegionStep, Step } from './step.js';
import { memoryRoot } from './views.js';

/**
 * What may happen to an input's memory. kept: nothing. copied: it may be written over by steps
 * that would copy it otherwise. given: by all.
 */
export type Overwrite = 'kept' | 'copied' | 'given';

export interface InPlaceOptions {
  /** By index of the graph's input. */
  readonly inputs: (index: number) => Overwrite;
  /** Index of the output that the next iteration takes for an input; absent outside of loops. */
  readonly nextOf?: (index: number) => number | undefined;
}

/** Of a body: only carried values are the loop's own. */
export function overwriteOf(node: Region): InPlaceOptions {
  if (node.op === 'if') return { inputs: () => 'kept' };
  const { carried } = node.attributes;
  const first = node.op === 'while' ? 1 : 0;
  return {
    inputs: (index) => (index < carried ? 'given' : 'kept'),
    nextOf: (index) => index + first,
  };
}

type Over = readonly (Node | undefined)[];

/** The steps, with `over` where an output takes over an input's memory. */
export function placeOver(steps: readonly Step[], graph: Graph, options: InPlaceOptions): Step[] {
  const plan = new InPlace(steps, graph, options);
  return steps.map((step, at) => {
    if (step.kind !== 'kernel' && step.kind !== 'region') return step;
    const over = step.kind === 'kernel' ? plan.ofKernel(step, at) : plan.ofRegion(step, at);
    if (!over.some((input) => input !== undefined)) return step;
    step.outputs.forEach((output, i) => {
      plan.take(output, over[i]);
    });
    return { ...step, over };
  });
}

class InPlace {
  private readonly graph: Graph;
  private readonly options: InPlaceOptions;
  private readonly lastRead = new Map<Node, number>();
  /** Values made by kernels and regions: their memory is the program's own. */
  private readonly own = new Set<Node>();
  /** The value whose memory another one took over. */
  private readonly taken = new Map<Node, Node>();
  private readonly inputAt: ReadonlyMap<Node, number>;

  constructor(steps: readonly Step[], graph: Graph, options: InPlaceOptions) {
    this.graph = graph;
    this.options = options;
    this.inputAt = new Map(graph.inputs.map((node, i) => [node as Node, i]));
    steps.forEach((step, at) => {
      for (const node of readsOf(step)) this.lastRead.set(node, at);
      if (step.kind === 'upload') return;
      for (const node of writesOf(step)) this.own.add(node);
    });
    for (const output of graph.outputs) {
      this.lastRead.set(memoryRoot(output), Number.POSITIVE_INFINITY);
    }
  }

  take(output: Node, input: Node | undefined): void {
    if (input !== undefined) this.taken.set(output, memoryRoot(input));
  }

  ofKernel(step: KernelStep, at: number): Over {
    const { pattern, anchor, inputs, outputs } = step;
    const allowed = (input: Node, output: Node, copies: boolean): boolean =>
      this.mayTake(input, inputs, output, at, copies);
    if (pattern === 'update' || pattern === 'scatter') {
      const data = anchor.inputs[0] as Node;
      return outputs.map((output) => (allowed(data, output, true) ? data : undefined));
    }
    if (pattern !== 'map') return [];
    const free = new Set(inputs);
    return outputs.map((output) => {
      for (const input of free) {
        const fits = allowed(input, output, false) && hasShapeOf(output, input);
        if (!fits || !isSameIndex(step, new Set([input]))) continue;
        free.delete(input);
        return input;
      }
      return undefined;
    });
  }

  /** Carried values of a loop start in the memory of the values that they start from. */
  ofRegion({ node, outputs }: RegionStep, at: number): Over {
    if (node.op === 'if') return [];
    const values = node.op === 'while' ? node.inputs.slice(1) : node.inputs;
    return outputs.map((output, i) => {
      const value = i < node.attributes.carried ? (values[i] as Node) : undefined;
      const isFree = value !== undefined && this.mayTake(value, node.inputs, output, at, true);
      return isFree ? value : undefined;
    });
  }

  private mayTake(
    input: Node,
    inputs: readonly Node[],
    output: Node,
    at: number,
    copies: boolean,
  ): boolean {
    const root = memoryRoot(input);
    if (this.lastRead.get(root) !== at || input.dtype !== output.dtype) return false;
    if (inputs.filter((other) => memoryRoot(other) === root).length !== 1) return false;
    if (!equal(product(input.shape), product(output.shape))) return false;
    const base = this.baseOf(root);
    const index = this.inputAt.get(base);
    if (index === undefined) return this.own.has(base);
    const rule = this.options.inputs(index);
    if (rule === 'kept' || (rule === 'copied' && !copies && base === root)) return false;
    return this.mayLeave(output, index);
  }

  /** A carried value's memory shall hold the same carried value at the next iteration. */
  private mayLeave(output: Node, index: number): boolean {
    const { nextOf } = this.options;
    if (nextOf === undefined) return true;
    return this.graph.outputs.every(
      (result, i) => memoryRoot(result) !== output || i === nextOf(index),
    );
  }

  private baseOf(root: Node): Node {
    let base = root;
    for (let below = base; below !== undefined; below = this.taken.get(base) as Node) base = below;
    return base;
  }
}

const hasShapeOf = (a: Node, b: Node): boolean =>
  a.shape.length === b.shape.length &&
  a.shape.every((size, i) => equal(size, b.shape[i] as typeof size));
