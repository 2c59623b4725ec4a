/** Functions recorded once per kind of arguments, then replayed without building a graph. */
import { input } from '../graph/build.js';
import type { Graph, Node } from '../graph/node.js';
import { type Evaluated, record, run, runNow } from './evaluate.js';
import { known, nodeOf, outsideScopes, realizeAll, retain } from './handle.js';
import { type Storage, storageOf } from './storage.js';
import { Tensor } from './tensor.js';
import { mapTree, tensorsOf, treeKey } from './tree.js';
import { atUserLine, atUserLineLater } from './where.js';

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
  const finish = ({ tree, places }: Recording<R>, { results, device }: Evaluated, args: A): R => {
    // One handle per result, shared where the function gave the same tensor twice.
    const made = results.map((value) => new Tensor(known(value, device)));
    let at = 0;
    const result = mapTree(tree, () => made[places[at++] as number] as Tensor);
    for (const place of donate) for (const tensor of tensorsOf(args[place])) tensor.dispose();
    return result;
  };
  /** Of a recording; undefined where one is not known yet. */
  const valuesFor = (given: readonly Tensor[], { captured }: Recording<R>) => {
    const values: Storage[] = [];
    for (const tensor of given) {
      const storage = storageOf(nodeOf(tensor));
      if (storage === undefined) return undefined;
      values.push(storage);
    }
    for (const node of captured) values.push(storageOf(node) as Storage);
    return values;
  };
  const callNow = (args: A): { readonly result: R } | undefined => {
    const recording = recordings.size > 0 ? recordings.get(treeKey(args)) : undefined;
    const values = recording && valuesFor(tensorsOf(args), recording);
    const evaluated = recording && values && runNow(recording.graph, values);
    return evaluated && { result: finish(recording, evaluated, args) };
  };
  const callLater = async (args: A): Promise<R> => {
    const given = tensorsOf(args);
    await realizeAll(given);
    const key = treeKey(args);
    const recording = recordings.get(key) ?? recordCall(fn, args, given);
    recordings.set(key, recording);
    const values = valuesFor(given, recording) as Storage[];
    return finish(recording, await run(recording.graph, values), args);
  };
  return async (...args) => {
    const now = atUserLine(() => callNow(args));
    return now === undefined ? atUserLineLater(() => callLater(args)) : now.result;
  };
}
