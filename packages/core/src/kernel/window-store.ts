/** What follows a window: its epilogue on a tile of sums, and the stores of its outputs. */
import { add, type Expression, multiply, substitute, variable } from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import type { KernelBuilder, Value } from './builder.js';
import { lowerCast, settle } from './elementwise.js';
import type { KernelFrame, KernelNames } from './frame.js';
import { laneName, storeAt } from './fused.js';
import { type Bindings, writeTiles } from './nest.js';
import { placeOn } from './place.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';
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
  const place = placeOn(frame, names, axes, {
    finish: (e) => substitute(e, replacement),
    known: (input) => (input.id === node.id ? sum : undefined),
  });
  const values = new ValueLowering(place);
  plan.roots.forEach(({ node: root, index }, i) => {
    storeAt(place, outputs[i] as string, root, index, values.value(root, index));
  });
}

/** Rows of outputs in scratch memory, one for each of some output channels. */
export interface TurnedRows {
  readonly buffer: string;
  readonly dtype: ComputeType;
  /** Elements from one channel's row to the next, and vectors that rows are read by. */
  readonly pitch: number;
  readonly lanes: number;
  /** First element of the first row. */
  readonly address: Expression;
}

/** Stores `count` outputs from `column` on of `channels` output channels from `first` on. */
export function storeTurned(
  site: WindowSite,
  rows: TurnedRows,
  [first, channels]: readonly [Expression, Expression],
  [column, count]: readonly [Expression, Expression],
): void {
  const b = site.frame.builder;
  const { buffer, dtype, pitch, lanes } = rows;
  b.for(0, channels, 1, (channel) => {
    writeTiles(b, 0, count, lanes, (at, tail) => {
      const address = add(rows.address, multiply(channel, pitch), at);
      const access = { buffer, address, strides: [1] };
      const content = b.load({ dtype, shape: [lanes] }, access, { volatile: true });
      const lane: TileAxis = { name: laneName, count: lanes };
      const axes = [tail === undefined ? lane : { ...lane, tail }];
      storeWindow(site, content, axes, add(first, channel), add(column, at));
    });
  });
}

/** A tile in scratch memory. */
export interface TilePlace {
  readonly buffer: string;
  readonly address: Expression;
  readonly pitch: number;
}

/** Turns [rows, columns], multiples of `lanes`, from one place to another. */
export function turnTile(
  b: KernelBuilder,
  dtype: ComputeType,
  lanes: number,
  [rows, columns]: readonly [number, number],
  from: TilePlace,
  to: TilePlace,
): void {
  const type = { dtype, shape: [lanes, lanes] };
  const access = ({ buffer, address, pitch }: TilePlace, row: number, column: number) => ({
    buffer,
    address: add(address, row * pitch + column),
    strides: [pitch, 1],
  });
  for (let across = 0; across < columns; across += lanes) {
    for (let down = 0; down < rows; down += lanes) {
      const square = b.load(type, access(from, down, across), { volatile: true });
      b.store(access(to, across, down), b.transpose(square));
    }
  }
}
