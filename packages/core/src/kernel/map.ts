/** Kernels without reductions: every output element from the input elements at its index. */
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  product,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelStep } from '../schedule/step.js';
import type { Axis } from './axes.js';
import type { Value } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import {
  hasWideTiles,
  type IterationSpace,
  placeAt,
  planAxes,
  type Root,
  spaceIndex,
  storeAt,
  vectorLanes,
} from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { stretchesOf, writeStretch } from './map-stretches.js';
import { turnedAxis, writeTurnedMap } from './map-turned.js';
import { Bindings, elementsPerTask, rowsPerTask, writeTasks, writeTiles } from './nest.js';
import { bytesAhead, bytesAheadIn, headOf, streamingOf } from './streaming.js';
import type { GridAxis } from './tile.js';
import { type Place, ValueLowering } from './value.js';
import { reshapeIndex } from './view-index.js';

/** Outputs of a step as roots over its space; shapes may differ, element counts do not. */
function rootsOf(step: KernelStep, space: IterationSpace): Root[] {
  const index = spaceIndex(space);
  return step.outputs.map((node) => ({
    node,
    index: reshapeIndex(node.shape, space.shape, index),
  }));
}

export function lowerMap(step: KernelStep, target: Target, names: KernelNames): LoweredKernel {
  const lanes = vectorLanes(target);
  const kernel = writeMap(step, target, names, lanes);
  if (lanes > 1 && target.execution === 'vector' && hasWideTiles(kernel.program.body)) {
    return writeMap(step, target, names, lanes / 2);
  }
  return kernel;
}

function writeMap(
  step: KernelStep,
  target: Target,
  names: KernelNames,
  lanes: number,
): LoweredKernel {
  const space: IterationSpace = { shape: step.anchor.shape, reduced: [] };
  const roots = rootsOf(step, space);
  const merged = planAxes(step, target, space, roots, () => false);
  const turned = turnedAxis(step, target, merged, lanes);
  if (turned !== undefined) {
    return writeTurnedMap(step, target, names, merged, roots, lanes, turned);
  }
  const frame = new KernelFrame(step, target);
  const { builder } = frame;
  const bindings = new Bindings();
  const outer = merged.axes.slice(0, -1);
  const inner = merged.axes.at(-1);
  const threads = target.execution === 'threads';
  const group = threads ? target.preferredGroup : 1;
  const rows = product(outer.map((axis) => axis.extent));
  const tile = threads
    ? group * elementsPerThread(target, inner?.extent ?? 1, rows)
    : tileLength(lanes, target, inner?.extent, outer.length > 0);
  const tiles = { tile, lanes };
  const buffers = step.outputs.map((node) => frame.output(node));
  const streaming = step.outputs.map((node) =>
    builder.bind(streamingOf(step, node, target, inner?.extent)),
  );

  const placeOf = (tail: Expression | undefined, width: number): Place =>
    placeAt(
      frame,
      merged,
      bindings,
      { vectorAxis: inner?.name, tile: inner === undefined ? 1 : width },
      tail,
      names.failBase,
      () => undefined,
    );
  const writeTile = (tail: Expression | undefined, width = tile): void => {
    // What is too large for the caches comes from memory.
    const isStreamed = streaming.some((each) => each !== 0);
    const large = step.outputs.find((node) => bytesAheadIn(target, node) !== undefined);
    const asks = tail === undefined && (isStreamed || large !== undefined);
    const place = { ...placeOf(tail, width), ...(asks ? { ahead: bytesAhead } : {}) };
    const values = new ValueLowering(place);
    // All loads first: a store may write over what another output reads.
    const made = roots.map(({ node, index }) => values.value(node, index));
    roots.forEach(({ node, index }, i) => {
      storeAt(place, buffers[i] as string, node, index, made[i] as Value, streaming[i]);
    });
  };

  /** Whole tiles of [start, end) begin where a streamed output has a line. */
  const writeWhole = ({ name }: Axis, start: Expression, end: Expression): void => {
    bindings.set(name, start);
    const streamed = roots.map((root, i) => ({
      ...root,
      buffer: buffers[i] as string,
      streaming: streaming[i] as Expression,
    }));
    const body = (base: Expression, tail: Expression | undefined): void => {
      bindings.set(name, base);
      writeTile(tail);
    };
    writeTiles(builder, start, end, tile, body, headOf(placeOf(undefined, tile), lanes, streamed));
  };

  let grid: GridAxis[];
  if (inner === undefined) {
    writeTile(undefined);
    grid = [];
  } else if (threads) {
    const blocks = ceilDivide(inner.extent, tile);
    grid = writeTasks(builder, outer, 1, bindings, () => {});
    const name = builder.fresh('g');
    const base = multiply(variable(name, blocks), tile);
    bindings.set(inner.name, base);
    const whole = typeof inner.extent === 'number' && inner.extent % tile === 0;
    writeTile(whole ? undefined : subtract(inner.extent, base));
    grid = [...grid, { name, extent: blocks }];
  } else if (outer.length === 0) {
    const block = Math.ceil(elementsPerTask / tile) * tile;
    const blocks = ceilDivide(inner.extent, block);
    const name = builder.fresh('g');
    const start = multiply(variable(name, blocks), block);
    const end = blocks === 1 ? inner.extent : clampEnd(start, block, inner.extent);
    writeWhole(inner, blocks === 1 ? 0 : start, end);
    grid = blocks === 1 ? [] : [{ name, extent: blocks }];
  } else {
    const stretches = streaming.every((each) => each === 0)
      ? stretchesOf(inner, merged, lanes)
      : undefined;
    grid = writeTasks(builder, outer, rowsPerTask(inner.extent), bindings, () => {
      if (stretches === undefined) writeWhole(inner, 0, inner.extent);
      else
        for (const stretch of stretches)
          writeStretch(builder, bindings, inner, stretch, tiles, writeTile);
    });
  }
  return frame.finish(names, { lanes: threads ? group : lanes, group, grid });
}

/**
 * Two vectors per tile where registers allow, so that their latencies overlap. A language that
 * keeps the order of operations needs more of them; what is left over goes element by element there
 * and must be little.
 */
function tileLength(
  lanes: number,
  target: Target,
  extent: Expression | undefined,
  hasRows: boolean,
): number {
  if (lanes === 1) return 1;
  if (target.operandsAhead === true) {
    if (typeof extent !== 'number') return hasRows ? lanes : 2 * lanes;
    const isLittle = (tile: number): boolean => extent % tile === 0 || extent >= 64 * tile;
    return [4 * lanes, 2 * lanes].find(isLittle) ?? lanes;
  }
  const two = target.vectorRegisters >= 16 && (typeof extent !== 'number' || extent > lanes);
  return two ? lanes * 2 : lanes;
}

/** As many as one access moves, where every core still gets a group and rows begin at a vector. */
function elementsPerThread(target: Target, extent: Expression, rows: Expression): number {
  const width = Math.max(1, (target.accessBytes ?? 0) / 4);
  if (typeof extent !== 'number' || extent % width !== 0) return 1;
  const tile = width * target.preferredGroup;
  const tasks = Math.ceil(extent / tile) * (typeof rows === 'number' ? rows : target.cores);
  return extent >= tile && tasks >= target.cores ? width : 1;
}

const clampEnd = (start: Expression, block: number, extent: Expression): Expression =>
  minimum(add(start, block), extent);
