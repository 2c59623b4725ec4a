/**
 * Reverse-mode derivatives: graph → graph, so that gradients have gradients. Each primitive has a
 * rule that turns the derivatives of its results into those of its inputs.
 *
 * Where the derivative is not unique: ties of minimum and maximum share equally, |x| and sign have
 * 0 at 0, and functions that are constant between steps (floor, comparisons) have 0 everywhere.
 */
import { isFloat } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import { add, scalar } from './build.js';
import { type PullbackContext, zeros } from './gradient-rule.js';
import { pullbackOf } from './gradient-rules.js';
import type { Node } from './node.js';
import { printShape } from './rule.js';
import { nodesFrom } from './traverse.js';

/**
 * The derivatives of Σ seedᵢ·outputᵢ with respect to nodes, of their types; zeros where an output
 * does not depend on one. Seeds are 1 unless given; without one an output must be a scalar
 * (OC-SHAPE-03). Refuses by name what has no derivative (OC-REFUSED-01), and integers
 * (OC-DTYPE-01).
 */
export function gradient(
  outputs: readonly Node[],
  wrt: readonly Node[],
  seeds?: readonly (Node | undefined)[],
): Node[] {
  for (const { dtype } of [...outputs, ...wrt]) {
    if (isFloat(dtype)) continue;
    throw failure('OC-DTYPE-01', { op: 'gradient', dtype, reason: 'only floats have derivatives' });
  }
  const given = outputs.map((output, i) => (seeds === undefined ? seedOf(output) : seeds[i]));
  return pullback(outputs, wrt, given).map((found, i) => found ?? zeros(wrt[i]!));
}

function seedOf(output: Node): Node {
  if (output.shape.length === 0) return scalar(output.dtype, 1);
  const reason = `the output has shape ${printShape(output.shape)}; give a seed of that shape`;
  throw failure('OC-SHAPE-03', { op: 'gradient', reason });
}

const plus = (a: Node | undefined, b: Node | undefined): Node | undefined =>
  a === undefined ? b : b === undefined ? a : add(a, b);

/** Nodes whose value depends on one of `wrt`. */
function dependents(order: readonly Node[], wrt: readonly Node[]): ReadonlySet<Node> {
  const found = new Set<Node>(wrt);
  for (const node of order) if (node.inputs.some((value) => found.has(value))) found.add(node);
  return found;
}

/** As `gradient`, with undefined for zero. */
function pullback(
  outputs: readonly Node[],
  wrt: readonly Node[],
  seeds: readonly (Node | undefined)[],
): (Node | undefined)[] {
  const order = nodesFrom(outputs);
  const depends = dependents(order, wrt);
  // Derivatives by node, one per result.
  const found = new Map<Node, (Node | undefined)[]>();
  const give = (node: Node, index: number, derivative: Node | undefined): void => {
    if (derivative === undefined) return;
    const list = found.get(node) ?? node.results.map(() => undefined);
    list[index] = plus(list[index], derivative);
    found.set(node, list);
  };
  outputs.forEach((output, i) => {
    give(output, 0, seeds[i]);
  });
  const targets = new Set(wrt);
  for (const node of [...order].reverse()) {
    const derivatives = found.get(node);
    if (derivatives === undefined || !depends.has(node)) continue;
    if (!targets.has(node)) found.delete(node);
    if (node.op === 'part') {
      give(node.inputs[0]!, node.attributes.index, derivatives[0]);
      continue;
    }
    if (!node.inputs.some((value) => depends.has(value))) continue;
    const context: PullbackContext = {
      seeds: derivatives,
      needs: (i) => {
        const value = node.inputs[i]!;
        return depends.has(value) && isFloat(value.dtype);
      },
      pullback,
    };
    pullbackOf(node, context).forEach((derivative, i) => {
      if (context.needs(i)) give(node.inputs[i]!, 0, derivative);
    });
  }
  return wrt.map((node) => found.get(node)?.[0]);
}
