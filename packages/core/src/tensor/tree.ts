/** Trees of tensors: arrays and plain records, as parameters and states are kept. */
import { isTensor, type Tensor } from './tensor.js';

/** What `grad` differentiates and optimizers update. */
export type Tree = Tensor | readonly Tree[] | { readonly [name: string]: Tree };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** The same tree with other tensors; everything that is no tensor stays. */
export function mapTree<T>(tree: T, change: (leaf: Tensor) => Tensor): T {
  return mapUnknown(tree, change) as T;
}

function mapUnknown(tree: unknown, change: (leaf: Tensor) => Tensor): unknown {
  if (isTensor(tree)) return change(tree);
  if (Array.isArray(tree)) return tree.map((member) => mapUnknown(member, change));
  if (!isRecord(tree)) return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([name, member]) => [name, mapUnknown(member, change)]),
  );
}

/** All tensors of a tree, in the order of its members. */
export function tensorsOf(tree: unknown): Tensor[] {
  const found: Tensor[] = [];
  collect(tree, found);
  return found;
}

function collect(tree: unknown, into: Tensor[]): void {
  if (isTensor(tree)) into.push(tree);
  else if (Array.isArray(tree)) for (const member of tree) collect(member, into);
  else if (isRecord(tree)) for (const member of Object.values(tree)) collect(member, into);
}

/** Combines trees of the same structure leaf by leaf. */
export function zipTrees<T>(trees: readonly [T, ...T[]], join: (...leaves: Tensor[]) => Tensor): T {
  const lists = trees.map((tree) => tensorsOf(tree));
  let at = 0;
  return mapTree(trees[0], () => {
    const leaves = lists.map((list) => list[at] as Tensor);
    at++;
    return join(...leaves);
  });
}

/** Text that is equal for trees of equal structure, types and plain values. */
export function treeKey(tree: unknown): string {
  if (isTensor(tree)) return `${tree.dtype}[${tree.shape.join(',')}]`;
  if (Array.isArray(tree)) return `(${tree.map(treeKey).join(' ')})`;
  if (isRecord(tree)) {
    const members = Object.entries(tree).map(([name, member]) => {
      return `${JSON.stringify(name)}:${treeKey(member)}`;
    });
    return `{${members.join(' ')}}`;
  }
  return Object.is(tree, -0) ? '-0' : `${typeof tree} ${JSON.stringify(String(tree))}`;
}
