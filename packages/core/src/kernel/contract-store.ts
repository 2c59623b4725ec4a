/** What follows a contraction: its epilogue on a tile of sums, and the stores of its outputs. */
import { type Expression, substitute } from '../base/expression.js';
import type { Value } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { lowerCast, settle } from './elementwise.js';
import type { KernelFrame, KernelNames } from './frame.js';
import { storeAt } from './fused.js';
import type { Bindings } from './nest.js';
import { placeOn } from './place.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';

/** A contraction inside a kernel that is being written. */
export interface ContractSite {
  readonly plan: ContractPlan;
  readonly groups: MergedGroups;
  readonly frame: KernelFrame;
  readonly names: KernelNames;
  readonly bindings: Bindings;
  /** Buffers of the step's outputs. */
  readonly outputs: readonly string[];
}

/** An axis and what its index is inside a tile. */
export interface Bound {
  readonly axis: string | undefined;
  readonly value: Expression;
}

/** What stands for an iteration variable inside a tile. */
export function replacementAt(
  { groups, bindings }: Pick<ContractSite, 'groups' | 'bindings'>,
  name: string,
  bounds: readonly Bound[],
): Expression | undefined {
  const bound = bounds.find((candidate) => candidate.axis === name);
  if (bound !== undefined) return bound.value;
  return groups.dropped.has(name) ? 0 : bindings.get(name);
}

/** A place for values of the step at a tile. */
export function placeIn(
  site: ContractSite,
  tile: readonly TileAxis[],
  bounds: readonly Bound[],
  known: Place['known'] = () => undefined,
): Place {
  const finish = (e: Expression): Expression =>
    substitute(e, (name) => replacementAt(site, name, bounds));
  return placeOn(site.frame, site.names, tile, { finish, known });
}

/** Applies what follows the contraction to a tile of sums, and stores. */
export function storeContracted(
  site: ContractSite,
  total: Value,
  axes: readonly TileAxis[],
  bounds: readonly Bound[],
): void {
  const { plan, frame, outputs } = site;
  const { accumulate } = plan.node.attributes;
  const settled = settle(frame.builder, accumulate, total);
  const sum = lowerCast(frame.builder, frame.target, accumulate, plan.node.dtype, false, settled);
  const place = placeIn(site, axes, bounds, (node) => (node.id === plan.node.id ? sum : undefined));
  const values = new ValueLowering(place);
  plan.roots.forEach(({ node, index }, i) => {
    storeAt(place, outputs[i] as string, node, index, values.value(node, index));
  });
}
