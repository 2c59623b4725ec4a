/**
 * The left operand's rows of a task, copied into the task's own memory: once for all panels that
 * the task walks. Worth it where elements are converted or computed, and where rows lie so far
 * apart that those of a tile share few places of the first cache.
 */

import { commonDivisor } from '../base/divisor.js';
import {
  add,
  type Expression,
  equal,
  linearIn,
  multiply,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Axis } from './axes.js';
import type { Value } from './builder.js';
import { askedBudget, firstCache, leftBudget, type TaskBlocks } from './contract-blocks.js';
import { addressesOf, type ContractPlan, type MergedGroups } from './contract-plan.js';
import { type ContractSite, placeIn } from './contract-store.js';
import { computeType, lowerCast, memoryType } from './elementwise.js';
import { laneName } from './fused.js';
import { writeTiles } from './nest.js';
import type { RegisterTile } from './register-tile.js';
import { lineBytes } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';

/** Panels that shall use a copy. */
const leastPanels = 4;
/** Addresses so far apart fall into the same set of a first cache, whatever its ways. */
const setSpan = 4096;
/** What a copy may take beyond what rows may, for the ends of its lines. */
const slack = 9 / 8;

/**
 * The copy: [row, depth] or, where rows lie side by side in memory, [depth, row]; lines of it are
 * `pitch` elements apart, an odd number of cache lines, so that none collide.
 */
interface Layout {
  readonly type: ComputeType;
  readonly depth: Axis;
  readonly extent: number;
  readonly rows: number;
  readonly pitch: number;
  readonly isTurned: boolean;
}

/** Whether rows so many bytes apart fill more than three quarters of their sets' ways. */
function isCrowded(stride: number, rows: number, target: Target): boolean {
  const sets = setSpan / commonDivisor(setSpan, stride);
  const ways = firstCache(target) / setSpan;
  return sets < rows && (rows / sets) * 4 > ways * 3;
}

/** How the copy lies; undefined where the operand is read in place. */
function layoutOf(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  tile: RegisterTile,
  blocks: TaskBlocks,
): Layout | undefined {
  const [depth, ...others] = groups.depth;
  const row = groups.rows.at(-1);
  const extent = depth?.extent;
  if (depth === undefined || row === undefined || others.length > 0) return undefined;
  if (typeof extent !== 'number' || extent < tile.lanes) return undefined;
  if (blocks.panels < leastPanels || tile.lanes < 4) return undefined;
  const type = computeType(plan.node.attributes.accumulate);
  const bytes = /64$/.test(type) ? 8 : 4;
  const { node } = plan.left;
  const finish = (e: Expression): Expression =>
    substitute(e, (name) => (groups.dropped.has(name) ? 0 : undefined));
  const seen = addressesOf(plan, target, [plan.left], false).map(finish);
  const along = (name: string) => seen.map((e) => linearIn(e, name)?.coefficient);
  const [alongDepth, alongRows] = [along(depth.name), along(row.name)];
  const isUnit = (strides: readonly (Expression | undefined)[]): boolean =>
    strides.every((s) => s !== undefined && (equal(s, 1) || equal(s, 0)));
  const isTurned = !isUnit(alongDepth);
  if (isTurned && !isUnit(alongRows)) return undefined;
  const [count, length] = isTurned ? [extent, blocks.rows] : [blocks.rows, extent];
  const line = lineBytes / bytes;
  const lines = Math.ceil(length / line);
  const pitch = line * (lines % 2 === 0 ? lines + 1 : lines);
  const budget = blocks.stepsPerRequest > 0 ? askedBudget(target) : leftBudget(target);
  if (count * pitch * bytes > budget * slack) return undefined;
  const inMemory = plan.step.inputs.some((input) => input.id === node.id);
  const converts = !inMemory || memoryType(node.dtype) !== type;
  const crowds = (isTurned ? alongDepth : alongRows).some(
    (stride) =>
      typeof stride === 'number' &&
      isCrowded(stride * bytes, isTurned ? extent : tile.rows, target),
  );
  return converts || crowds
    ? { type, depth, extent, rows: blocks.rows, pitch, isTurned }
    : undefined;
}

export class LeftBlock {
  private readonly site: ContractSite;
  private readonly layout: Layout;
  private readonly lanes: number;
  private readonly buffer: string;
  private start: Expression = 0;

  private constructor(site: ContractSite, layout: Layout, lanes: number) {
    this.site = site;
    this.layout = layout;
    this.lanes = lanes;
    const { type, rows, extent, pitch, isTurned } = layout;
    const elements = (isTurned ? extent : rows) * pitch;
    this.buffer = site.frame.scratch(type as MemoryType, elements);
  }

  /** The block of a task; undefined where its operand is read in place. */
  static of(site: ContractSite, tile: RegisterTile, blocks: TaskBlocks): LeftBlock | undefined {
    const { plan, groups, frame } = site;
    const layout = layoutOf(plan, groups, frame.target, tile, blocks);
    return layout === undefined ? undefined : new LeftBlock(site, layout, tile.lanes);
  }

  /** Copies rows [start, end). */
  copy(start: Expression, end: Expression): void {
    const { site, layout } = this;
    const b = site.frame.builder;
    const { extent, isTurned } = layout;
    this.start = start;
    const [first, last] = isTurned ? [0, extent] : [start, end];
    const length = isTurned ? subtract(end, start) : extent;
    b.for(first, last, 1, (line) => {
      writeTiles(b, 0, length, this.width(), (at, tail) => this.copyPiece(line, at, tail));
    });
  }

  /** Elements that are copied at once. */
  private width(): number {
    const { lanes, layout } = this;
    const length = layout.isTurned ? layout.rows : layout.extent;
    return length >= 2 * lanes ? 2 * lanes : lanes;
  }

  /** Elements from `at` on of a row, or of a position of the depth. */
  private copyPiece(line: Expression, at: Expression, tail: Expression | undefined): void {
    const { site, layout, buffer, start } = this;
    const { plan, groups, frame } = site;
    const { builder: b, target } = frame;
    const { depth, pitch, isTurned } = layout;
    const width = this.width();
    const lane: TileAxis = { name: laneName, count: width };
    const along = add(at, variable(laneName, width));
    const row = isTurned ? add(start, along) : line;
    const bounds = [
      { axis: groups.rows.at(-1)?.name, value: row },
      { axis: depth.name, value: isTurned ? line : along },
    ];
    const tile = [tail === undefined ? lane : { ...lane, tail }];
    const values = new ValueLowering(placeIn(site, tile, bounds));
    const value = values.value(plan.left.node, plan.left.index);
    const { accumulate } = plan.node.attributes;
    const cast = lowerCast(b, target, plan.left.node.dtype, accumulate, false, value);
    const address = add(multiply(isTurned ? line : subtract(line, start), pitch), at);
    const limits = tail === undefined ? {} : { limits: [{ high: tail }] };
    b.store({ buffer, address, strides: [1], ...limits }, b.broadcast(cast, [width]));
  }

  /** Elements [height, 1] of rows from `row` on at a position of the depth. */
  elements(row: Expression, height: number, position: Expression): Value {
    const { layout, buffer, site, start } = this;
    const { pitch, type, isTurned } = layout;
    const local = subtract(row, start);
    const address = isTurned
      ? add(multiply(position, pitch), local)
      : add(multiply(local, pitch), position);
    const access = { buffer, address, strides: [isTurned ? 1 : pitch, 0] };
    // The task writes this memory itself.
    return site.frame.builder.load({ dtype: type, shape: [height, 1] }, access, { volatile: true });
  }
}
