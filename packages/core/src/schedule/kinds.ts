/** How each primitive takes part in fusion: one table, so that a new op must say. */
import type { Node, OpName } from '../graph/node.js';

/**
 * elementwise and view inline into their users; anchor starts a group; root is a kernel of its own
 * with operands in memory; region is run by the runtime; leaf and free are values that need none.
 */
export type FusionKind = 'elementwise' | 'view' | 'anchor' | 'root' | 'region' | 'leaf' | 'free';

interface FusionFacts {
  readonly kind: FusionKind;
  /** Cost of one element in additions; a function that needs a series counts 16. */
  readonly work: number;
}

const cheap: FusionFacts = { kind: 'elementwise', work: 1 };
const middle: FusionFacts = { kind: 'elementwise', work: 4 };
const series: FusionFacts = { kind: 'elementwise', work: 16 };
const view: FusionFacts = { kind: 'view', work: 0 };
const root: FusionFacts = { kind: 'root', work: 0 };
const region: FusionFacts = { kind: 'region', work: 0 };
const anchor: FusionFacts = { kind: 'anchor', work: 0 };

export const fusionFacts = {
  negate: cheap,
  absolute: cheap,
  sign: cheap,
  floor: cheap,
  ceil: cheap,
  round: cheap,
  truncate: cheap,
  squareRoot: middle,
  exp: series,
  log: series,
  sin: series,
  cos: series,
  tan: series,
  asin: series,
  acos: series,
  atan: series,
  sinh: series,
  cosh: series,
  tanh: series,
  asinh: series,
  acosh: series,
  atanh: series,
  erf: series,
  not: cheap,
  isNaN: cheap,
  add: cheap,
  subtract: cheap,
  multiply: cheap,
  divide: middle,
  remainder: middle,
  power: series,
  minimum: cheap,
  maximum: cheap,
  and: cheap,
  or: cheap,
  xor: cheap,
  shiftLeft: cheap,
  shiftRight: cheap,
  equal: cheap,
  less: cheap,
  lessEqual: cheap,
  select: cheap,
  cast: cheap,
  input: { kind: 'leaf', work: 1 },
  constant: { kind: 'leaf', work: 1 },
  iota: { kind: 'free', work: 1 },
  size: { kind: 'free', work: 0 },
  reshape: view,
  permute: view,
  expand: view,
  slice: view,
  flip: view,
  bitcast: view,
  pad: { kind: 'view', work: 1 },
  concat: { kind: 'view', work: 1 },
  unpack: { kind: 'view', work: 2 },
  gather: { kind: 'view', work: 4 },
  contract: anchor,
  window: anchor,
  reduce: anchor,
  scatter: root,
  cumulate: root,
  sort: root,
  compact: root,
  update: root,
  randomBits: root,
  part: { kind: 'leaf', work: 1 },
  if: region,
  loop: region,
  while: region,
  composite: { kind: 'root', work: 0 },
} as const satisfies Record<OpName, FusionFacts>;

export const kindOf = (node: Node): FusionKind => fusionFacts[node.op].kind;
export const workOf = (node: Node): number => fusionFacts[node.op].work;
export const isElementwise = (node: Node): boolean => kindOf(node) === 'elementwise';
/** Whether the node is computed inside its users' kernels unless something forbids it. */
export const isInlineable = (node: Node): boolean =>
  kindOf(node) === 'elementwise' || kindOf(node) === 'view' || kindOf(node) === 'free';
