/**
 * What map and reduction kernels share: a dry run finds all addresses and merges the axes; then
 * the kernel is written, and once more with fewer lanes where 64-bit tiles turned up.
 */
import type { DType } from '../base/dtype.js';
import { add, type Expression, type Size, substitute, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { axesOf, indexOf, type MergedAxes, mergeAxes } from './axes.js';
import type { Value } from './builder.js';
import { computeType, literalOf, toMemory } from './elementwise.js';
import { KernelFrame } from './frame.js';
import type { Bindings } from './nest.js';
import type { Statement } from './tile.js';
import { aheadOf, limitsOf, linearInLanes, type TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';
import { flatten } from './view-index.js';

/** Name of the variable that stands for the lane of a vector. */
export const laneName = 'lane';

/** The space that a kernel walks: sizes of its iteration, and which axes are reduced. */
export interface IterationSpace {
  readonly shape: readonly Size[];
  readonly reduced: readonly number[];
}

/** A node that is computed at an index of the space. */
export interface Root {
  readonly node: Node;
  readonly index: readonly Expression[];
}

/** Index of every axis of the space, over the axes' variables. */
export function spaceIndex(space: IterationSpace): Expression[] {
  return axesOf(space.shape, space.reduced).map(indexOf);
}

/** Merged axes, and the addresses and conditions of what is read, over the axes before. */
export interface PlannedAxes extends MergedAxes {
  readonly reads: readonly Expression[];
  /** What decides conditions: they change where these are 0. */
  readonly changes: readonly Expression[];
}

/** Merged axes of a step whose work is to compute and store `roots`. */
export function planAxes(
  step: KernelStep,
  target: Target,
  space: IterationSpace,
  roots: readonly Root[],
  isReduced: (node: Node) => boolean,
): PlannedAxes {
  const reads: Expression[] = [];
  const changes: Expression[] = [];
  const frame = new KernelFrame(step, target);
  const place: Place = {
    builder: frame.builder,
    target,
    bufferOf: (node) => frame.input(node),
    finish: (e) => e,
    tile: [],
    known: (node) => (isReduced(node) ? literalOf(frame.builder, node.dtype, 0) : undefined),
    failBase: 0,
    record: (e) => reads.push(e),
    recordChange: (e) => changes.push(e),
  };
  const values = new ValueLowering(place);
  for (const { node, index } of roots) values.value(node, index);
  const stores = roots.map(({ node, index }) => flatten(node.shape, index));
  const merged = mergeAxes(axesOf(space.shape, space.reduced), [...reads, ...stores]);
  return { ...merged, reads, changes };
}

/** Where tiles are: which axis the lanes lie along, and how many there are. */
export interface Tiling {
  /** Name of the vector axis; undefined for scalar kernels without axes. */
  readonly vectorAxis: string | undefined;
  readonly tile: number;
}

/** The view of a kernel in progress from one innermost position. */
export function placeAt(
  frame: KernelFrame,
  merged: MergedAxes,
  bindings: Bindings,
  tiling: Tiling,
  tail: Expression | undefined,
  failBase: number,
  known: Place['known'],
): Place {
  const lane = variable(laneName, tiling.tile);
  const scalar = tiling.vectorAxis === undefined || tiling.tile === 1;
  const axis: TileAxis = { name: laneName, count: tiling.tile };
  const replacement = (name: string): Expression | undefined => {
    if (merged.dropped.has(name)) return 0;
    const base = bindings.get(name);
    if (base === undefined || name !== tiling.vectorAxis || scalar) return base;
    return add(base, lane);
  };
  return {
    builder: frame.builder,
    target: frame.target,
    bufferOf: (node) => frame.input(node),
    finish: (e) => substitute(e, replacement),
    tile: scalar ? [] : [tail === undefined ? axis : { ...axis, tail }],
    known,
    failBase,
  };
}

/** Stores a value (tile or uniform) of `node` at an index of the place; streaming as in tile.ts. */
export function storeAt(
  place: Place,
  buffer: string,
  node: Node,
  index: readonly Expression[],
  value: Value,
  streaming: Expression = 0,
): void {
  const { builder, tile } = place;
  const raw = toMemory(builder, node.dtype, value);
  const address = place.finish(flatten(node.shape, index));
  const shape = tile.map((axis) => axis.count);
  const linear = linearInLanes(address, tile);
  const wide = builder.broadcast(raw, shape);
  if (linear === undefined) {
    const values = new ValueLowering({ ...place, finish: (e) => e });
    builder.scatter(buffer, values.index(address), wide, values.tailMask());
    return;
  }
  const { base, strides } = linear;
  // Elsewhere a large output goes past the caches.
  const ahead = place.target.hintsLoad === true ? aheadOf(place.ahead, node.dtype, strides) : {};
  const access = { buffer, address: base, strides, ...ahead, ...limitsOf(tile) };
  builder.store(access, wide, streaming);
}

/** Whether a tile of a 64-bit type occurs, so that vectors hold half as many lanes. */
export function hasWideTiles(statements: readonly Statement[]): boolean {
  return statements.some((statement) => {
    switch (statement.kind) {
      case 'let':
      case 'variable':
        return statement.type.shape.length > 0 && /64$/.test(statement.type.dtype);
      case 'for':
        return hasWideTiles(statement.body);
      case 'while':
        return hasWideTiles(statement.head) || hasWideTiles(statement.body);
      case 'if':
        return hasWideTiles(statement.then) || hasWideTiles(statement.else);
      default:
        return false;
    }
  });
}

/** Elements of a vector register for 32-bit types; 1 where the target is scalar. */
export const vectorLanes = (target: Target): number => Math.max(1, target.vectorBytes / 4);

/** Elements of a vector in kernels whose tiles all are of this type. */
export const lanesFor = (target: Target, dtype: DType): number =>
  vectorLanes(target) / (/64$/.test(computeType(dtype)) ? 2 : 1);
