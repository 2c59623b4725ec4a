/** What follows a window: its epilogue on a tile of sums, and the stores of its outputs. */
import { add, type Expression, substitute, variable } from '../base/expression.js';
import type { Value } from './builder.js';
import { lowerCast, settle } from './elementwise.js';
import type { KernelFrame, KernelNames } from './frame.js';
import { laneName, storeAt } from './fused.js';
import type { Bindings } from './nest.js';
import { type Place, type TileAxis, ValueLowering } from './value.js';
import { rowAxisName, spatialName, type WindowPlan } from './window-plan.js';

/** A window inside a kernel that is being written. */
export interface WindowSite {
  readonly plan: WindowPlan;
  readonly frame: KernelFrame;
  readonly names: KernelNames;
  readonly bindings: Bindings;
  /** Buffers of the step's outputs. */
  readonly outputs: readonly string[];
}

/**
 * Stores a tile of accumulators whose last axis lies along the last spatial axis from `column` on;
 * `row` is the output channel within its group, over the variables of the other axes.
 */
export function storeWindow(
  site: WindowSite,
  total: Value,
  axes: readonly TileAxis[],
  row: Expression,
  column: Expression,
): void {
  const { plan, frame, names, bindings, outputs } = site;
  const { builder: b, target } = frame;
  const { accumulate, node } = plan;
  const sum =
    accumulate === 'bool'
      ? b.notEqual(total, b.literal('u32', 0))
      : lowerCast(b, target, accumulate, node.dtype, false, settle(b, accumulate, total));
  const last = spatialName(plan.spatial.length - 1);
  const lane = variable(laneName, axes.at(-1)?.count ?? 1);
  const replacement = (name: string): Expression | undefined => {
    if (name === rowAxisName) return row;
    return name === last ? add(column, lane) : bindings.get(name);
  };
  const place: Place = {
    builder: b,
    target,
    bufferOf: (input) => frame.input(input),
    finish: (e) => substitute(e, replacement),
    tile: axes,
    known: (input) => (input.id === node.id ? sum : undefined),
    failBase: names.failBase,
  };
  const values = new ValueLowering(place);
  plan.roots.forEach(({ node: root, index }, i) => {
    storeAt(place, outputs[i] as string, root, index, values.value(root, index));
  });
}
