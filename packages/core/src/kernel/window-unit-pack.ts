/**
 * Weights of a convolution as the right operand of a matrix unit, laid out once: [group, block of
 * channels, chunk of input channels, …kernel, part, tile] with each tile as memory holds it for
 * the unit, zeros beyond the edges; and the range of a block's elements.
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  type Expression,
  floorDivide,
  lessThan,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { Value } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import { placeOn } from './place.js';
import type { TileAxis } from './tile-limits.js';
import { joinBits, joinHalves, RangeOf, splitBits } from './unit-operand.js';
import { ValueLowering } from './value.js';
import { flatten } from './view-index.js';
import { groupName, inGraphOrder, type WindowPlan } from './window-plan.js';
import type { WindowSite } from './window-store.js';
import { blockName } from './window-tiles.js';
import type { WindowUnitPlan } from './window-unit-plan.js';

export interface UnitWeights {
  readonly kernel: LoweredKernel;
  readonly panels: Workspace;
  /** Least and greatest magnitude by [group, block], as u32 bits. */
  readonly ranges: Workspace;
}

/** Place of a tile of weights. */
export interface TileAt {
  /** Group and block of channels as one number. */
  readonly block: Expression;
  readonly chunk: Expression;
  readonly taps: readonly Expression[];
  readonly part: number;
  readonly tile: Expression;
}

/** First element of a tile of weights. */
export function weightTile(plan: WindowPlan, chosen: WindowUnitPlan, at: TileAt): Expression {
  const { unit, chunks, parts, columnTiles } = chosen;
  const kernel = plan.spatial.map((s) => s.kernel);
  const tap = flatten([chunks, ...kernel], [at.chunk, ...at.taps]);
  const step = add(multiply(at.block, chunks * chosen.taps), tap);
  const number = add(multiply(add(multiply(step, parts), at.part), columnTiles), at.tile);
  return multiply(number, unit.k * unit.n);
}

export function packUnitWeights(
  plan: WindowPlan,
  chosen: WindowUnitPlan,
  target: Target,
  names: KernelNames,
): UnitWeights {
  const { unit, chunks, parts, columnTiles, blocks, plain } = chosen;
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { constant } = plain;
  const tiles = plan.groups * blocks * chunks * chosen.taps * parts * columnTiles;
  const bytes = tiles * unit.k * unit.n * bytesOf(unit.right);
  const panels: Workspace = { kind: 'workspace', id: 0, bytes, constant };
  const rangeBytes = 8 * plan.groups * blocks;
  const ranges: Workspace = { kind: 'workspace', id: 1, bytes: rangeBytes, constant };
  const to = frame.workspace(panels, 'u32', 'write');
  const rangeTo = frame.workspace(ranges, 'u32', 'write');
  const bindings = new Bindings();
  const taps = plan.spatial.map((s, i) => axis(`$k${i}`, s.kernel));
  const bound = (name: string): Expression => bindings.get(name) ?? 0;
  const tasks = [axis(groupName, plan.groups), axis(blockName, blocks)];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const block = add(multiply(bound(groupName), blocks), bound(blockName));
    const range = new RangeOf(b, [unit.n]);
    const steps = [axis('$c', chunks), ...taps, axis('$l', unit.k / 2)];
    writeLoops(b, steps, bindings, () => {
      const at = taps.map((tap) => bound(tap.name));
      const depth = add(multiply(bound('$c'), unit.k), multiply(bound('$l'), 2));
      for (let tile = 0; tile < columnTiles; tile++) {
        const channel = add(multiply(bound(blockName), columnTiles * unit.n), tile * unit.n);
        const pair = [0, 1].map((r) => {
          const value = elements(add(depth, r), at, channel);
          range.take(value);
          return chosen.splits ? splitBits(b, value, parts) : [b.bitcast(value, 'u32')];
        }) as [readonly Value[], readonly Value[]];
        for (let part = 0; part < parts; part++) {
          const [low, high] = pair.map((each) => each[part] as Value) as [Value, Value];
          const place = { block, chunk: bound('$c'), taps: at, part, tile };
          const first = floorDivide(weightTile(plan, chosen, place), 2);
          const address = add(first, multiply(bound('$l'), unit.n));
          b.store({ buffer: to, address, strides: [1] }, joinHalves(b, low, high));
        }
      }
    });
    const [least, greatest] = range.ends();
    const address = multiply(block, 2);
    b.store({ buffer: rangeTo, address, strides: [] }, least);
    b.store({ buffer: rangeTo, address: add(address, 1), strides: [] }, greatest);
  });

  /** Weights of unit.n channels for an input channel, zero where there is none. */
  function elements(depth: Expression, at: readonly Expression[], channel: Expression): Value {
    const rows = plan.rows as number;
    const isWhole = rows % (columnTiles * unit.n) === 0;
    const lane: TileAxis = { name: laneName, count: unit.n };
    const tile = [isWhole ? lane : { ...lane, tail: subtract(rows, channel) }];
    const values = new ValueLowering(placeOn(frame, names, tile));
    const isDeep = (plan.depth as number) % unit.k === 0;
    const guard = isDeep
      ? undefined
      : b.notEqual(b.scalar(lessThan(depth, plan.depth)), b.scalar(0));
    const out = add(multiply(bound(groupName), rows), channel, variable(laneName, unit.n));
    const index = [out, depth, ...inGraphOrder(plan.order, at)];
    const value = values.value(plan.weights as Node, index, guard);
    const zero = b.literal('f32', 0);
    const mask = values.tailMask();
    const edged = mask === undefined ? value : b.select(mask, value, zero);
    return b.broadcast(guard === undefined ? edged : b.select(guard, edged, zero), [unit.n]);
  }

  const packNames = { ...names, name: `${names.name}_weights` };
  const cost = { flops: 0, bytes: 2 * bytes };
  const shape = { lanes: plain.lanes, group: 1, grid };
  return { kernel: frame.finish(packNames, shape, { once: constant, cost }), panels, ranges };
}

/** Weights [1, unit.n] of one input channel, put together again from their parts. */
export function weightsOfTiles(
  b: KernelFrame['builder'],
  plan: WindowPlan,
  chosen: WindowUnitPlan,
  panels: string,
  at: Omit<TileAt, 'part' | 'chunk'> & { readonly depth: Expression },
): Value {
  const { unit, parts } = chosen;
  const chunk = floorDivide(at.depth, unit.k);
  const within = modulo(at.depth, unit.k);
  const bits = Array.from({ length: parts }, (_, part) => {
    const first = weightTile(plan, chosen, { ...at, chunk, part });
    const pair = multiply(floorDivide(within, 2), 2 * unit.n);
    const address = add(first, pair, modulo(within, 2));
    const access = { buffer: panels, address, strides: [0, 2] };
    const half = b.load({ dtype: 'u32', shape: [1, unit.n] }, access);
    return b.binary('shiftLeft', half, b.literal('u32', 16));
  });
  return joinBits(b, bits);
}

/** Weights [1, unit.n] at an index whose first axis runs with the lane, from `channel` on. */
export function weightsInPlace(
  { frame, plan, names }: WindowSite,
  { unit }: WindowUnitPlan,
  index: readonly Expression[],
  channel: Expression,
): Value {
  const rows = plan.rows as number;
  const lane: TileAxis = { name: laneName, count: unit.n };
  const cut = rows % unit.n === 0 ? lane : { ...lane, tail: subtract(rows, channel) };
  const values = new ValueLowering(placeOn(frame, names, [{ name: 'one', count: 1 }, cut]));
  return frame.builder.broadcast(values.value(plan.weights as Node, index), [1, unit.n]);
}
