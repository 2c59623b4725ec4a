/** Functions recorded once per kind of arguments, then replayed without building a graph. */
import { input } from '../graph/build.js';
import type { Graph, Node } from '../graph/node.js';
import { record, run } from './evaluate.js';
import { known, nodeOf, outsideScopes, realizeAll, retain } from './handle.js';
import { type Storage, storageOf } from './storage.js';
import { Tensor } from './tensor.js';
import { mapTree, tensorsOf, treeKey } from './tree.js';
import { atUserLineLater } from './where.js';

export interface JitOptions {
  /**
   * Numbers of arguments whose tensors are released after the call: state that the result
   * replaces.
   */
  readonly donate?: readonly number[];
}

interface Recording<R> {
  readonly graph: Graph;
  /** Values that the function uses without taking them as arguments. */
  readonly captured: readonly Node[];
  /** The result with recorded tensors, and which result of the run each of them is. */
  readonly tree: R;
  readonly places: readonly number[];
}

function recordCall<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  args: A,
  given: readonly Tensor[],
): Recording<R> {
  return outsideScopes(() => {
    const standIns = given.map(({ dtype, shape }) => input('argument', { dtype, shape }));
    let at = 0;
    const tree = fn(...mapTree(args, () => new Tensor(standIns[at++] as Node)));
    const nodes = tensorsOf(tree).map(nodeOf);
    const unique = [...new Set(nodes)];
    const { graph, leaves } = record(unique, standIns);
    const places = nodes.map((node) => unique.indexOf(node));
    const captured = leaves.slice(standIns.length);
    for (const node of captured) retain(node);
    return { graph, captured, tree, places };
  });
}

/**
 * The function as a recording: it runs once per structure, shapes and plain values of its
 * arguments to build a graph; later calls only compute. Tensors that it uses from outside keep
 * the values they had. The function must be synchronous and without effects.
 */
export function jit<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  { donate = [] }: JitOptions = {},
): (...args: A) => Promise<R> {
  const recordings = new Map<string, Recording<R>>();
  return (...args) =>
    atUserLineLater(async () => {
      const given = tensorsOf(args);
      await realizeAll(given);
      const key = treeKey(args);
      const recording = recordings.get(key) ?? recordCall(fn, args, given);
      recordings.set(key, recording);
      const values = [...given.map(nodeOf), ...recording.captured].map(
        (node) => storageOf(node) as Storage,
      );
      const { results, device } = await run(recording.graph, values);
      // One handle per result, shared where the function gave the same tensor twice.
      const made = results.map((value) => new Tensor(known(value, device)));
      let at = 0;
      const result = mapTree(
        recording.tree,
        () => made[recording.places[at++] as number] as Tensor,
      );
      for (const place of donate) for (const tensor of tensorsOf(args[place])) tensor.dispose();
      return result;
    });
}
