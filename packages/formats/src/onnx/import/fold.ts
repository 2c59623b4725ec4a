/** Folds what depends on nothing but constants, by the interpreter, so that it is known at once. */
import { build, type Graph, type HostTensor, interpret, isFailure, type Node } from './core.js';

/** Larger tensors stay operations: weights are not multiplied out here. */
export const foldLimit = 65_536;

const closed = new WeakMap<Node, boolean>();

/** Whether a node's value is the same in every run: no inputs, no symbols. */
export function isClosed(node: Node): boolean {
  const seen = closed.get(node);
  if (seen !== undefined) return seen;
  const result = node.op !== 'input' && node.inputs.every(isClosed) && isStatic(node);
  closed.set(node, result);
  return result;
}

function isStatic(node: Node): boolean {
  if (node.results.some((type) => !isNumeric(type.shape))) return false;
  return node.op === 'constant' || Object.values(node.attributes).every(isNumeric);
}

/** Whether an attribute is free of symbols. */
function isNumeric(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isNumeric);
  if ('outputs' in value) return (value as Graph).symbols.size === 0;
  if ((value as { kind?: unknown }).kind === 'sum') return false;
  return ArrayBuffer.isView(value) || Object.values(value).every(isNumeric);
}

function isSmall(node: Node, seen: Set<Node> = new Set()): boolean {
  if (seen.has(node)) return true;
  seen.add(node);
  const count = (node.shape as readonly number[]).reduce((all, n) => all * n, 1);
  return count <= foldLimit && node.inputs.every((input) => isSmall(input, seen));
}

/** The value of a closed node; undefined where it is large or fails. */
export function constantValue(node: Node): HostTensor | undefined {
  if (node.op === 'constant') return node.attributes.tensor;
  if (!isClosed(node) || !isSmall(node)) return undefined;
  try {
    return interpret(build.graphOf([], [node]), [])[0];
  } catch (error) {
    // What fails for constants fails at run time in the same way, with the operator's name.
    if (!isFailure(error)) throw error;
    closed.set(node, false);
    return undefined;
  }
}

/** The node, or the constant that it always is. */
export function foldConstant(node: Node): Node {
  if (node.op === 'constant') return node;
  const value = constantValue(node);
  return value === undefined ? node : build.constant(value);
}
