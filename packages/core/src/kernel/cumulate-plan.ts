/** What all kernels of a cumulate are made of: its lines, how values combine, tiles of memory. */
import type { Expression, Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { NodeOf } from '../graph/node.js';
import { accumulateType } from '../graph/ops.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value } from './builder.js';
import { fromMemory, literalOf, lowerBinary, rawType, toMemory } from './elementwise.js';
import type { KernelNames } from './frame.js';
import { identityOf } from './identity.js';
import { bytesAheadIn } from './streaming.js';
import type { Access, Limit } from './tile.js';
import { aheadOf } from './tile-limits.js';

export interface CumulatePlan {
  readonly step: KernelStep;
  readonly node: NodeOf<'cumulate'>;
  readonly target: Target;
  readonly names: KernelNames;
  readonly lanes: number;
  readonly outer: Size;
  readonly length: Size;
  readonly inner: Size;
}

/** What combines two values: running totals, scalars or tiles. */
export function combiner(
  { node, target }: CumulatePlan,
  b: KernelBuilder,
): (a: Value, c: Value) => Value {
  const { kind } = node.attributes;
  const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
  const running = accumulateType(node.dtype);
  return (a, c) => lowerBinary(b, target, name, running, a, c, () => {});
}

/** What changes no total. */
export const identity = ({ node }: CumulatePlan, b: KernelBuilder): Value =>
  literalOf(b, node.dtype, identityOf(node.attributes.kind, node.dtype));

/** What tiles say of a long walk along a line. */
function aheadIn({ node, target, inner }: CumulatePlan): Pick<Access, 'ahead'> {
  return inner === 1 ? aheadOf(bytesAheadIn(target, node), node.dtype, [1]) : {};
}

/** A tile of the input; lanes beyond the tail change nothing. */
export function loadTile(
  plan: CumulatePlan,
  b: KernelBuilder,
  from: string,
  address: Expression,
  shape: readonly [number],
  tail: Expression | undefined,
): Value {
  const { dtype } = plan.node;
  const limits = tail === undefined ? aheadIn(plan) : { limits: [{ high: tail }] };
  const access = { buffer: from, address, strides: [1], ...limits };
  const value = fromMemory(b, dtype, b.load({ dtype: rawType(dtype), shape }, access));
  if (tail === undefined) return value;
  return b.select(b.less(b.iota(shape[0]), b.scalar(tail)), value, identity(plan, b));
}

/** A tile of results; none beyond the limit. */
export function storeTile(
  plan: CumulatePlan,
  b: KernelBuilder,
  to: string,
  address: Expression,
  value: Value,
  limit: Limit | undefined,
  streaming: Expression = 0,
): void {
  const limits = limit === undefined ? aheadIn(plan) : { limits: [limit] };
  const access = { buffer: to, address, strides: [1], ...limits };
  b.store(access, toMemory(b, plan.node.dtype, value), streaming);
}
