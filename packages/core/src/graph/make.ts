/** The one place where nodes are made: infers, interns, and remembers what was not proven. */
import { type Attributes, intern, type Node, type OpName, type Requirement } from './node.js';
import { ruleOf } from './ops.js';
import { shapeError } from './rule.js';

/** Views of kernels and expressions of indices grow with the rank; no real model is near it. */
const highestRank = 64;

const unproven = new WeakMap<object, readonly Requirement[]>();

/** Relations between sizes that the node needs and inference could not prove. */
export function requirementsOf(node: Node): readonly Requirement[] {
  return unproven.get(node) ?? [];
}

/**
 * The node of an operation; throws OC-SHAPE-… and OC-DTYPE-… by the operation's rule. Builders
 * give friendlier arguments; passes that rebuild nodes call this.
 */
export function make<O extends OpName>(
  op: O,
  inputs: readonly Node[],
  attributes: Attributes[O],
): Node {
  const rule = ruleOf(op);
  const [least, most] = typeof rule.arity === 'number' ? [rule.arity, rule.arity] : rule.arity;
  if (inputs.length < least || inputs.length > most) {
    throw shapeError(op, `${inputs.length} inputs given`);
  }
  const { results, requirements } = rule.infer(inputs, attributes);
  for (const { shape } of results) {
    if (shape.length > highestRank) {
      throw shapeError(op, `rank ${shape.length}; ${highestRank} is the highest`);
    }
  }
  const node = intern(op, inputs, attributes, results) as unknown as Node;
  if (requirements.length > 0) unproven.set(node, requirements);
  return node;
}

/** The same operation on other inputs; the node itself when they are the same. */
export function withInputs(node: Node, inputs: readonly Node[]): Node {
  if (inputs.every((value, i) => value === node.inputs[i])) return node;
  return make(node.op, inputs, node.attributes as Attributes[OpName]);
}
