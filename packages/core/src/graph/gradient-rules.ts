/** The table of derivatives, one rule per primitive. */
import { internal } from '../base/errors.js';
import {
  binaryPullbacks,
  castPullback,
  flat,
  selectPullback,
  unaryPullbacks,
} from './gradient-elementwise.js';
import {
  compactPullback,
  gatherPullback,
  scatterPullback,
  sortPullback,
  updatePullback,
} from './gradient-index.js';
import { contractPullback, cumulatePullback, reducePullback } from './gradient-reduce.js';
import { compositePullback, ifPullback, loopPullback, whilePullback } from './gradient-region.js';
import { type Pullback, type PullbackContext, zeros } from './gradient-rule.js';
import { viewPullbacks } from './gradient-views.js';
import { windowPullback } from './gradient-window.js';
import type { Node, NodeOf, OpName } from './node.js';

export const pullbacks = {
  ...unaryPullbacks,
  ...binaryPullbacks,
  ...viewPullbacks,
  input: flat,
  constant: flat,
  iota: flat,
  size: flat,
  randomBits: flat,
  select: selectPullback,
  cast: castPullback,
  bitcast: flat,
  unpack: flat,
  reduce: reducePullback,
  contract: contractPullback,
  window: windowPullback,
  gather: gatherPullback,
  scatter: scatterPullback,
  cumulate: cumulatePullback,
  sort: sortPullback,
  compact: compactPullback,
  update: updatePullback,
  part: () => {
    throw internal('part is passed through by the walk itself');
  },
  if: ifPullback,
  loop: loopPullback,
  while: whilePullback,
  composite: compositePullback,
} satisfies { readonly [O in OpName]: Pullback<O> };

/** Derivatives of a node's inputs. */
export function pullbackOf(node: Node, context: PullbackContext): readonly (Node | undefined)[] {
  const rule = pullbacks[node.op] as unknown as Pullback<OpName>;
  const seed = context.seeds[0] ?? zeros(node.results[0]!);
  return rule(node as unknown as NodeOf<OpName>, seed, context);
}
