/**
 * Convolution with vectors along the output channels. A task copies its band of the input, then
 * walks blocks of channels; weights lie side by side in the order of their use.
 */
import type { DType } from '../base/dtype.js';
import { add, ceilDivide, type Expression, minimum, multiply } from '../base/expression.js';
import type { MemoryType, Target } from '../base/target.js';
import { axis } from './axes.js';
import { computeType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import { aheadIn } from './panel-hints.js';
import { type Band, copyBand } from './window-band.js';
import type { ChannelPlan } from './window-channel-plan.js';
import { batchName, groupName, type WindowPlan } from './window-plan.js';
import type { WindowSite } from './window-store.js';
import { blockName, ChannelTiles } from './window-tiles.js';
import { packWeights, panelAt } from './window-weights.js';

/** The kernels of a convolution by channels: weights laid out, then the tiles. */
export function writeWindowChannels(
  plan: WindowPlan,
  channels: ChannelPlan,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const packed = packWeights(plan, channels, target, names);
  const frame = new KernelFrame(plan.step, target);
  const b = frame.builder;
  const { band, columns, lanes } = channels;
  const type = computeType(plan.accumulate);
  const weights = frame.workspace(packed.workspace, type as DType, 'read');
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  const site: WindowSite = { plan, frame, names, bindings: new Bindings(), outputs };
  const input = frame.scratch(type as MemoryType, band.elements);
  const hints = aheadIn(target, lanes, channels.steps * columns);
  const tiles = new ChannelTiles(site, channels, input, ({ number }) => {
    const address = add(panelAt(channels, site.bindings), multiply(number, columns));
    const access = { buffer: weights, address, strides: [0, 1], ...hints };
    return b.load({ dtype: type, shape: [1, columns] }, access);
  });
  const grid = writeBandTasks(site, band, channels, (starts, block) => {
    copyBand(site, band, input, lanes, bandStart(site, starts));
    b.for(...block, 1, (at) => {
      site.bindings.set(blockName, at);
      tiles.write(starts);
    });
  });
  return [packed.kernel, frame.finish(names, { lanes, group: 1, grid })];
}

/** Blocks of output channels, and how many a task does. */
interface Blocks {
  readonly blocks: number;
  readonly taskBlocks: number;
}

/** Tasks: a block of outputs by some blocks of channels [first, end). */
export function writeBandTasks(
  { frame, plan, bindings }: WindowSite,
  band: Band,
  { blocks, taskBlocks }: Blocks,
  body: (starts: readonly Expression[], block: readonly [Expression, Expression]) => void,
) {
  const tasks = [
    axis(batchName, plan.batch),
    axis(groupName, plan.groups),
    ...band.axes.map((a, i) => axis(`part${i}`, a.blocks)),
    axis('blockPart', ceilDivide(blocks, taskBlocks)),
  ];
  return writeTasks(frame.builder, tasks, 1, bindings, () => {
    const bound = (name: string): Expression => bindings.get(name) ?? 0;
    const starts = band.axes.map((a, i) => multiply(bound(`part${i}`), a.block));
    const first = multiply(bound('blockPart'), taskBlocks);
    body(starts, [first, minimum(add(first, taskBlocks), blocks)]);
  });
}

/** Where the band of a task begins. */
export const bandStart = ({ plan, bindings }: WindowSite, outputs: readonly Expression[]) => ({
  batch: bindings.get(batchName) ?? 0,
  channel: multiply(bindings.get(groupName) ?? 0, plan.depth),
  outputs,
});
