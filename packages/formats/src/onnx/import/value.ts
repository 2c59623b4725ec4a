/** Values between ONNX nodes during an import. Lists and optionals are known statically. */
import { build, type DType, type HostTensor, type Node } from './core.js';

export type Value =
  | { readonly kind: 'tensor'; readonly node: Node }
  /** A tensor of strings; it exists on the host only, so its elements are known. */
  | { readonly kind: 'strings'; readonly tensor: HostTensor }
  | { readonly kind: 'sequence'; readonly items: readonly Value[]; readonly dtype: DType | null }
  | { readonly kind: 'optional'; readonly value: Value | null }
  /** Made by a refused node; whatever uses it is skipped without a further refusal. */
  | { readonly kind: 'unknown' };

/** What an operator's import gives for one output. */
export type Result = Node | Value;

export const unknownValue: Value = { kind: 'unknown' };

export const tensorValue = (node: Node): Value => ({ kind: 'tensor', node });

export const isNode = (result: Result): result is Node => 'op' in result;

export const asValue = (result: Result): Value => (isNode(result) ? tensorValue(result) : result);

/** All nodes inside a value, in order. */
export function nodesOf(value: Value): readonly Node[] {
  switch (value.kind) {
    case 'tensor':
      return [value.node];
    case 'sequence':
      return value.items.flatMap(nodesOf);
    case 'optional':
      return value.value === null ? [] : nodesOf(value.value);
    default:
      return [];
  }
}

/** The value with every node replaced; the structure stays. */
export function mapNodes(value: Value, change: (node: Node) => Node): Value {
  switch (value.kind) {
    case 'tensor':
      return tensorValue(change(value.node));
    case 'sequence':
      return { ...value, items: value.items.map((item) => mapNodes(item, change)) };
    case 'optional':
      return value.value === null ? value : { ...value, value: mapNodes(value.value, change) };
    default:
      return value;
  }
}

/** Whether a refused node stands behind any part of the value. */
export function isUnknown(value: Value): boolean {
  if (value.kind === 'unknown') return true;
  if (value.kind === 'sequence') return value.items.some(isUnknown);
  return value.kind === 'optional' && value.value !== null && isUnknown(value.value);
}

/** Text for refusals: `tensor`, `sequence of 3`, … */
export function describeValue(value: Value): string {
  switch (value.kind) {
    case 'tensor':
      return `tensor of ${value.node.dtype}`;
    case 'strings':
      return 'tensor of string';
    case 'sequence':
      return `sequence of ${value.items.length}`;
    case 'optional':
      return value.value === null ? 'empty optional' : `optional ${describeValue(value.value)}`;
    default:
      return 'refused value';
  }
}

/** A host tensor as a value of the import: strings stay, numbers become constants. */
export function hostValue(tensor: HostTensor): Value {
  if (tensor.dtype === 'string') return { kind: 'strings', tensor };
  return tensorValue(build.constant(tensor));
}
