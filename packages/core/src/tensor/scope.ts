/** Releasing at a known point: everything made in a scope, except what it returns. */
import { closeScope, openScope, realizeAll } from './handle.js';
import { tensorsOf } from './tree.js';

/**
 * Runs `work`, computes the tensors that it returns (in arrays and records), and releases all
 * other tensors that were made meanwhile. What other code makes while `work` waits counts too:
 * run one scope at a time.
 */
export async function scope<T>(work: () => T | Promise<T>): Promise<T> {
  const made = openScope();
  let kept: ReturnType<typeof tensorsOf> = [];
  try {
    const result = await work();
    const returned = tensorsOf(result);
    await realizeAll(returned);
    kept = returned;
    return result;
  } finally {
    closeScope(made, kept);
  }
}

/** Computes all tensors of a tree as one program. */
export async function realize<T>(tree: T): Promise<T> {
  await realizeAll(tensorsOf(tree));
  return tree;
}
