/** Weights of a convolution in the order in which tiles of channels use them. */
import { bytesOf, type DType } from '../base/dtype.js';
import { add, type Expression, minimum, multiply, subtract, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import { computeType, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import { placeOn } from './place.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';
import { flatten } from './view-index.js';
import type { ChannelPlan } from './window-channel-plan.js';
import { groupName, inGraphOrder, type WindowPlan } from './window-plan.js';

/** First element of the panel of a block of channels. */
export function panelAt(channels: ChannelPlan, bindings: Bindings): Expression {
  const group = bindings.get(groupName) ?? 0;
  const block = bindings.get('block') ?? 0;
  return multiply(add(multiply(group, channels.blocks), block), channels.steps, channels.columns);
}

/** A step of the depth: an input channel, as a chunk and a place in it, and a kernel element. */
export interface Step {
  readonly depth: Expression;
  readonly taps: readonly Expression[];
  /** Number among the steps of a panel. */
  readonly number: Expression;
}

/**
 * Walks the steps of a panel in their order. Channels are innermost: inputs of the next step then
 * share no element with those of the last, which compilers would carry over in registers that
 * accumulators need; and along the kernel's last axis last of all, for the same reason.
 */
export function walkSteps(
  b: KernelBuilder,
  plan: WindowPlan,
  channels: ChannelPlan,
  copies: number,
  body: (step: Step) => void,
): void {
  const depth = plan.depth as number;
  const kernel = plan.spatial.map((s) => s.kernel as number);
  const count = kernel.reduce((all, each) => all * each, 1);
  const order = [kernel.length - 1, ...kernel.slice(0, -1).keys()];
  b.for(0, depth, channels.chunk, (first) => {
    const whole = depth % channels.chunk === 0;
    const length = whole ? channels.chunk : minimum(channels.chunk, subtract(depth, first));
    const walk = (taps: readonly Expression[]): void => {
      const at = order[taps.length];
      if (at !== undefined) {
        b.for(0, kernel[at] as number, 1, (tap) => walk([...taps, tap]));
        return;
      }
      const tap = flatten(
        order.map((axis) => kernel[axis] as number),
        taps,
      );
      const before = b.bind(add(multiply(first, count), multiply(tap, length)));
      const step = (place: Expression): void =>
        body({
          depth: add(first, place),
          taps: order.map((_, axis) => taps[order.indexOf(axis)] as Expression),
          number: add(before, place),
        });
      b.for(0, length, 1, step, copies > 1 ? { unroll: copies } : {});
    };
    walk([]);
  });
}

export interface PackedWeights {
  readonly kernel: LoweredKernel;
  readonly workspace: Workspace;
}

/** [group, block of channels, step, channels of a block], zero beyond the last channel. */
export function packWeights(
  plan: WindowPlan,
  channels: ChannelPlan,
  target: Target,
  names: KernelNames,
): PackedWeights {
  const weights = plan.weights as Node;
  const dtype = computeType(plan.accumulate) as DType;
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { blocks, steps, columns, constant } = channels;
  const bytes = plan.groups * blocks * steps * columns * bytesOf(dtype);
  const workspace: Workspace = { kind: 'workspace', id: 0, bytes, constant };
  const to = frame.workspace(workspace, dtype, 'write');
  const bindings = new Bindings();
  const tasks = [axis(groupName, plan.groups), axis('block', blocks)];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    walkSteps(b, plan, channels, 1, ({ depth, taps, number }) => {
      const bound = (name: string): Expression => bindings.get(name) ?? 0;
      const first = multiply(bound('block'), columns);
      const rows = plan.rows as number;
      const lane: TileAxis = { name: laneName, count: columns };
      const tile = [rows % columns === 0 ? lane : { ...lane, tail: subtract(rows, first) }];
      const values = new ValueLowering(placeOn(frame, names, tile));
      const out = add(multiply(bound(groupName), rows), first, variable(laneName, columns));
      const index = [out, depth, ...inGraphOrder(plan.order, taps)];
      const value = values.value(weights, index);
      const cast = lowerCast(b, target, weights.dtype, plan.accumulate, false, value);
      const mask = values.tailMask();
      const zero = b.literal(computeType(dtype), 0);
      const filled = mask === undefined ? cast : b.select(mask, cast, zero);
      const address = add(panelAt(channels, bindings), multiply(number, columns));
      b.store({ buffer: to, address, strides: [1] }, b.broadcast(filled, [columns]));
    });
  });
  const packNames = { ...names, name: `${names.name}_weights` };
  const cost = { flops: 0, bytes: 2 * bytes };
  const shape = { lanes: channels.lanes, group: 1, grid };
  return { kernel: frame.finish(packNames, shape, { once: constant, cost }), workspace };
}
