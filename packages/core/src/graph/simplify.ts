/** Simplifies a graph without changing a bit of any result. */
import { isFailure } from '../base/errors.js';
import { product, type Size } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import { cast } from './build-elementwise.js';
import { constant, constantOf, size } from './build-sources.js';
import { concat, reshape, sameShape } from './build-views.js';
import type { Graph, Node, OpName } from './node.js';
import { rewrite } from './rewrite.js';
import { shapeValues } from './shape-values.js';
import { elementwiseSimplifications, sinkExpand } from './simplify-elementwise.js';
import { type Rule, tensorOf, unexpanded } from './simplify-match.js';
import { simplifyRegion, usedResults } from './simplify-regions.js';
import { viewSimplifications } from './simplify-views.js';
import { bodiesOf } from './symbols.js';

/** Computes a node on known inputs. */
export type Evaluate = (node: Node, inputs: readonly HostTensor[]) => readonly HostTensor[];

export interface SimplifyOptions {
  /** Mostly the interpreter; without it constants are not folded. */
  readonly evaluate?: Evaluate;
  /** Most elements of a folded constant. */
  readonly foldLimit?: number;
}

const defaultFoldLimit = 65_536;
const mostPasses = 8;
const mostRules = 16;

const rules: Readonly<Partial<Record<OpName, Rule>>> = {
  ...elementwiseSimplifications,
  ...viewSimplifications,
};

/** Not worth a constant: they only repeat, or their result is one of many. */
const unfolded: ReadonlySet<OpName> = new Set([
  'constant',
  'input',
  'expand',
  'iota',
  'randomBits',
  'size',
  'if',
  'loop',
  'while',
  'composite',
  'sort',
  'compact',
  'part',
]);

/** A constant, or a repeated one in full. */
function spread(node: Node, evaluate: Evaluate): HostTensor | undefined {
  const tensor = tensorOf(unexpanded(node));
  if (tensor === undefined || node.op === 'constant') return tensor;
  return evaluate(node, [tensor])[0];
}

function fold(node: Node, options: SimplifyOptions): Node | undefined {
  const { evaluate, foldLimit = defaultFoldLimit } = options;
  if (evaluate === undefined || unfolded.has(node.op)) return undefined;
  const count = product(node.shape);
  if (typeof count !== 'number' || node.inputs.length === 0) return undefined;
  if (count > foldLimit || !node.inputs.some((x) => x.op === 'constant')) return undefined;
  try {
    const tensors = node.inputs.map((x) => spread(x, evaluate));
    if (!tensors.every((tensor) => tensor !== undefined)) return undefined;
    if (tensors.some((tensor) => tensor.data.length > foldLimit)) return undefined;
    const [result] = evaluate(node, tensors);
    return result === undefined ? undefined : constant(result);
  } catch (error) {
    // What fails on values (an index out of range) shall fail when the program runs.
    if (isFailure(error)) return undefined;
    throw error;
  }
}

const fewSizes = 8;

/** Shape arithmetic whose elements are known sizes. */
function foldSizes(node: Node): Node | undefined {
  if (node.op === 'constant' || node.op === 'size' || node.shape.length > 1) return undefined;
  if (node.dtype !== 'i64' && node.dtype !== 'i32') return undefined;
  const values = shapeValues(node);
  if (values === undefined || values.length === 0 || values.length > fewSizes) return undefined;
  if (!values.every((value) => value !== undefined)) return undefined;
  if (values.every((value) => typeof value === 'number')) {
    return constantOf(node.dtype, node.shape as readonly number[], values.map(BigInt));
  }
  const single = (value: Size): Node => cast(size(value), node.dtype);
  if (node.shape.length === 0) return single(values[0] as Size);
  return concat(
    values.map((value) => reshape(single(value), [1])),
    0,
  );
}

const fits = (result: Node, node: Node): boolean =>
  result.dtype === node.dtype && sameShape(result.shape, node.shape);

/** Applies rules to one node until none applies. */
function simplifyNode(node: Node, options: SimplifyOptions): Node {
  let current = node;
  for (let step = 0; step < mostRules; step++) {
    const next =
      fold(current, options) ??
      rules[current.op]?.(current) ??
      sinkExpand(current) ??
      foldSizes(current);
    if (next === undefined || next === current || !fits(next, node)) return current;
    current = next;
  }
  return current;
}

/**
 * An equal graph with less in it: constants folded, views merged, operations without effect gone,
 * branches with a known condition opened, bodies of regions and composites simplified too.
 */
export function simplify(graph: Graph, options: SimplifyOptions = {}): Graph {
  const done = new Map<Graph, Graph>();
  const simplifyGraph = (whole: Graph): Graph => {
    const known = done.get(whole);
    if (known !== undefined) return known;
    let current = whole;
    for (let pass = 0; pass < mostPasses; pass++) {
      const used = usedResults(current);
      const next = rewrite(current, (node, original) => {
        if (node.results.length === 1 && bodiesOf(node).length === 0) {
          const simpler = simplifyNode(node, options);
          return simpler === node ? undefined : simpler;
        }
        return simplifyRegion(node, used.get(original), simplifyGraph);
      });
      if (next === current) break;
      current = next;
    }
    done.set(whole, current);
    return current;
  };
  return simplifyGraph(graph);
}
