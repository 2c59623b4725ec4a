/** A window step taken apart: sizes along every spatial axis; whether the input needs a copy. */
import { bytesOf, type DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  floorDivide,
  multiply,
  type Size,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { computeType } from './elementwise.js';
import type { Root } from './fused.js';
import { type RegisterTile, registerTile } from './register-tile.js';
import { reshapeIndex } from './view-index.js';

/** One spatial axis. All in elements. */
export interface Spatial {
  readonly size: Size;
  readonly kernel: Size;
  readonly stride: number;
  readonly low: Size;
  readonly kernelDilation: number;
  readonly inputDilation: number;
  /** Extent after dilation and padding. */
  readonly padded: Size;
  readonly out: Size;
}

/** The padded position that an output reads by a kernel element. */
export const readBy = (s: Spatial, output: Expression, tap: Expression): Expression =>
  add(multiply(output, s.stride), multiply(tap, s.kernelDilation));

export interface WindowPlan {
  readonly step: KernelStep;
  readonly node: NodeOf<'window'>;
  readonly x: Node;
  readonly weights: Node | undefined;
  readonly batch: Size;
  readonly channels: Size;
  readonly groups: number;
  /** Input channels of a group (1 for pooling), output channels of a group. */
  readonly depth: Size;
  readonly rows: Size;
  /** Axes without extent first, so that lanes lie along one that has elements. */
  readonly spatial: readonly Spatial[];
  /** Axis of the node that each of `spatial` is. */
  readonly order: readonly number[];
  readonly accumulate: DType;
  readonly tile: RegisterTile;
  readonly roots: readonly Root[];
  /** Variables of the output index: batch, group, row, then one per spatial axis. */
  readonly anchorIndex: readonly Expression[];
}

export const batchName = '$p0';
export const groupName = '$q0';
export const rowAxisName = '$m0';
export const spatialName = (axis: number): string => `$s${axis}`;

function spatialOf(node: NodeOf<'window'>, axis: number): Spatial {
  const { attributes } = node;
  const x = node.inputs[0] as Node;
  const size = x.shape[axis + 2] as Size;
  const [low, high] = attributes.padding[axis] as readonly [Size, Size];
  const inputDilation = attributes.inputDilation[axis] as number;
  const dilated = add(multiply(subtract(size, 1), inputDilation), 1);
  return {
    size,
    kernel: attributes.kernel[axis] as Size,
    stride: attributes.strides[axis] as number,
    low,
    kernelDilation: attributes.kernelDilation[axis] as number,
    inputDilation,
    padded: add(dilated, low, high),
    out: node.shape[axis + 2] as Size,
  };
}

/** Whether an axis has one element, before and after. */
const isPoint = (s: Spatial): boolean =>
  equal(s.size, 1) && equal(s.padded, 1) && equal(s.kernel, 1) && equal(s.out, 1);

/** One entry per axis of a plan's `spatial`, in the order of the node's axes. */
export function inGraphOrder<T>(order: readonly number[], entries: readonly T[]): readonly T[] {
  return order.map((_, axis) => entries[order.indexOf(axis)] as T);
}

export function planWindow(step: KernelStep, target: Target): WindowPlan {
  const node = step.anchor as NodeOf<'window'>;
  const [x, weights] = node.inputs as [Node, Node | undefined];
  const convolves = node.attributes.kind === 'convolve';
  const channels = x.shape[1] as Size;
  const groups = convolves ? node.attributes.groups : 1;
  const inGraph = node.attributes.kernel.map((_, axis) => spatialOf(node, axis));
  const order = [
    ...inGraph.flatMap((s, axis) => (isPoint(s) ? [axis] : [])),
    ...inGraph.flatMap((s, axis) => (isPoint(s) ? [] : [axis])),
  ];
  const spatial = order.map((axis) => inGraph[axis] as Spatial);
  const { accumulate } = node.attributes;
  const rows = floorDivide(node.shape[1] as Size, groups);
  const last = spatial.at(-1) as Spatial;
  const index = (name: string, extent: Size): Expression =>
    equal(extent, 1) ? 0 : variable(name, extent);
  const channel = add(multiply(index(groupName, groups), rows), index(rowAxisName, rows));
  const anchorIndex = [
    index(batchName, x.shape[0] as Size),
    channel,
    ...inGraphOrder(
      order,
      spatial.map(({ out }, axis) => index(spatialName(axis), out)),
    ),
  ];
  return {
    step,
    node,
    x,
    weights: convolves ? weights : undefined,
    batch: x.shape[0] as Size,
    channels,
    groups,
    depth: convolves ? floorDivide(channels, groups) : 1,
    rows,
    spatial,
    order,
    accumulate,
    tile: registerTile(target, computeType(accumulate), convolves ? rows : 1, last.out),
    roots: step.outputs.map((output) => ({
      node: output,
      index: reshapeIndex(output.shape, node.shape, anchorIndex),
    })),
    anchorIndex,
  };
}

/** Whether x can be read in place: in memory, unpadded, undilated, unit stride along the rows. */
export function readsInPlace(plan: WindowPlan): boolean {
  const inMemory = plan.step.inputs.some((input) => input.id === plan.x.id);
  const plain = plan.spatial.every(
    (s) => s.inputDilation === 1 && equal(s.low, 0) && equal(s.padded, s.size),
  );
  return inMemory && plain && plan.spatial.at(-1)?.stride === 1;
}

/**
 * Layout of the copy: [batch, channels, …outer padded extents, phase, columns], where element
 * column·stride + phase of a padded row lies at (phase, column), so that a row of outputs reads
 * side by side whatever the stride.
 */
export interface CopyLayout {
  readonly outer: readonly Size[];
  readonly phases: number;
  readonly columns: Size;
  /** Elements past the end that a tile's loads may touch. */
  readonly slack: number;
  readonly bytes: Size;
}

export function copyLayout(plan: WindowPlan): CopyLayout {
  const last = plan.spatial.at(-1) as Spatial;
  const outer = plan.spatial.slice(0, -1).map((s) => s.padded);
  const columns = ceilDivide(last.padded, last.stride);
  const slack = plan.tile.columns + plan.tile.lanes;
  const elements = multiply(plan.batch, plan.channels, ...outer, last.stride, columns);
  const bytes = multiply(add(elements, slack), bytesOf(copyType(plan)));
  return { outer, phases: last.stride, columns, slack, bytes };
}

/** The dtype whose memory form holds accumulation values. */
export const copyType = (plan: WindowPlan): DType =>
  plan.accumulate === 'bool' ? 'u32' : (computeType(plan.accumulate) as DType);
