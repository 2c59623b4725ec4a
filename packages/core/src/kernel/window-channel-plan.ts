/** Whether a convolution runs with vectors along its output channels, and in what tiles. */
import { product } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { isConstantValue } from './contract.js';
import { firstCache } from './contract-blocks.js';
import { computeType } from './elementwise.js';
import {
  accumulatorsOf,
  busySums,
  costOfTile,
  evenHeight,
  fewTiles,
  leastHeight,
  tilesAhead,
} from './register-tile.js';
import { lineBytes } from './streaming.js';
import { type Band, type BandWish, bandBudget, planBand } from './window-band.js';
import type { WindowPlan } from './window-plan.js';

export interface ChannelPlan {
  /** Elements of a hardware vector. */
  readonly lanes: number;
  /** Channels of a tile. */
  readonly columns: number;
  /** Outputs of a tile along the last axis, and lines of them along the one before. */
  readonly outputs: number;
  readonly lines: number;
  /** Tiles of a row that have so many outputs; those behind have one less. Absent: all. */
  readonly tallTiles?: number;
  /** Blocks of channels, and how many of them a task does. */
  readonly blocks: number;
  readonly taskBlocks: number;
  /** Input channels that are walked for one kernel element before the next. */
  readonly chunk: number;
  /** Input channels by kernel elements. */
  readonly steps: number;
  readonly band: Band;
  /** Whether the weights are constant. */
  readonly constant: boolean;
}

/**
 * Part of the second cache for a task's band; what remains is for weights. Where engines do not
 * tell its size, it is larger than the least that they have.
 */
const bandShare = ({ operandsAhead }: Target): number => (operandsAhead === true ? 1 / 2 : 1 / 4);
/** Part of the first cache for inputs that several kernel elements read. */
const chunkShare = 1 / 4;
/** Tasks per core that even out the end of a launch. */
const tasksPerCore = 2;
/** What rows cost more where weights come by elements: measured, 6.7 against 5.4 ms. */
const unpacked = 1.25;
/** Outputs that each weight is used for at least, where weights must be laid out at every run. */
const leastUses = 64;

interface Tile {
  readonly vectors: number;
  readonly outputs: number;
  readonly lines: number;
  readonly cost: number;
}

export const waste = (extent: number, tile: number): number =>
  (Math.ceil(extent / tile) * tile) / extent;

/** Tiles whose accumulators, weights and one input stay in registers; the cheapest of them. */
function cheapestTile(
  target: Target,
  { lanes, rows, out }: Sizes,
  widths: readonly number[] = target.vectorRegisters >= 32 ? [2, 3, 4, 1] : [2, 1],
): Tile {
  const [width = 1, height = 1] = [out.at(-1), out.at(-2)];
  if (target.operandsAhead === true) return cheapestAhead(target, rows, lanes, width);
  let best: Tile | undefined;
  for (const vectors of widths) {
    const most = Math.floor(accumulatorsOf(target, vectors) / vectors);
    for (let lines = 1; lines <= Math.min(most, height); lines++) {
      const fits = Math.floor(most / lines);
      // Whole rows in one tile, or else rows cut evenly.
      if (lines > 1 && fits < width) break;
      const few = Math.min(width, fewTiles(width, fits));
      const even = Math.min(width, evenHeight(width, fits, leastHeight(target, fits)));
      const differ = tilesDiffer(target, { vectors, outputs: few, lines });
      const outputs = differ ? few : even;
      const across = differ ? 1 : waste(width, outputs);
      const spoilt = waste(rows, vectors * lanes) * across * waste(height, lines);
      const cost = spoilt * (1 + 1 / vectors / 4 + 1 / (lines * outputs) / 2);
      if (best === undefined || cost < best.cost - 1e-9) best = { vectors, outputs, lines, cost };
    }
  }
  return best as Tile;
}

/** The same where a step's operands are loaded ahead: tiles of a row differ by one output. */
function cheapestAhead(target: Target, rows: number, lanes: number, width: number): Tile {
  const all = tilesAhead(target, target.fusedMultiplyAdd).map(({ vectors, height }): Tile => {
    const outputs = Math.ceil(width / Math.ceil(width / height));
    const tall = tallOf(width, outputs) * outputs;
    const short = tall < width ? (width - tall) * costOfTile(target, vectors, outputs - 1) : 0;
    const each = (tall * costOfTile(target, vectors, outputs) + short) / width;
    return { vectors, outputs, lines: 1, cost: each * waste(rows, vectors * lanes) };
  });
  return all.reduce((best, tile) => (tile.cost < best.cost - 1e-9 ? tile : best));
}

/**
 * Whether tiles of a row differ by one output: where registers are few, a shorter tile costs less
 * than outputs that nobody needs, as long as its sums keep the units busy.
 */
const tilesDiffer = (
  { operandsAhead, vectorRegisters }: Target,
  { vectors, outputs, lines }: Omit<Tile, 'cost'>,
): boolean =>
  operandsAhead === true ||
  (vectorRegisters < 32 && vectors * (outputs - 1) * lines >= busySums - 1);

/** Of as few tiles of a row as there can be, those with `outputs`; the others have one less. */
const tallOf = (width: number, outputs: number): number =>
  width - Math.ceil(width / outputs) * (outputs - 1);

/** Sizes of a convolution that are all known. */
export interface Sizes {
  readonly lanes: number;
  readonly bytes: number;
  /** Output and input channels of a group, and kernel elements. */
  readonly rows: number;
  readonly depth: number;
  readonly taps: number;
  readonly out: readonly number[];
}

/** The sizes, where they are known and vectors can lie along channels. */
export function sizesOf(plan: WindowPlan, target: Target): Sizes | undefined {
  const { weights, spatial, accumulate, rows, depth } = plan;
  const bytes = /64$/.test(computeType(accumulate)) ? 8 : 4;
  const lanes = target.vectorBytes / bytes;
  if (weights === undefined || lanes < 4 || accumulate === 'bool') return undefined;
  const taps = product(spatial.map((s) => s.kernel));
  const out = spatial.map((s) => s.out);
  if ([rows, depth, taps, ...out].some((size) => typeof size !== 'number' || size < 1)) {
    return undefined;
  }
  const numbers = { rows: Number(rows), depth: Number(depth), taps: Number(taps) };
  return { lanes, bytes, ...numbers, out: out.map(Number) };
}

/** The plan; undefined where sizes are unknown, or where vectors along a row do better. */
export function planChannels(plan: WindowPlan, target: Target): ChannelPlan | undefined {
  const { tile: other } = plan;
  const sizes = sizesOf(plan, target);
  if (sizes === undefined || sizes.rows < sizes.lanes / 2) return undefined;
  const { rows, lanes, out } = sizes;
  const tile = cheapestTile(target, sizes);
  const rowCost =
    waste(rows, other.rows) *
    waste(out.at(-1) ?? 1, other.columns) *
    (target.operandsAhead === true ? unpacked : 1) *
    costOfTile(target, other.columns / lanes, other.rows);
  if (rowCost < tile.cost) return undefined;
  const made = channelPlan(plan, target, sizes, tile, { share: bandShare(target) });
  const places = out.reduce((count, each) => count * each, 1);
  return made === undefined || made.constant || places >= leastUses ? made : undefined;
}

/** Tiles of one vector of channels by a band that a matrix unit reads as well. */
export const planBeside = (
  plan: WindowPlan,
  target: Target,
  sizes: Sizes,
  wish: Wish,
): ChannelPlan | undefined =>
  channelPlan(plan, target, sizes, cheapestTile(target, sizes, [1]), wish);

interface Wish extends Pick<BandWish, 'channelStep' | 'rowStep'> {
  /** Part of the second cache for the band. */
  readonly share: number;
}

function channelPlan(
  { step, weights, spatial, ...plan }: WindowPlan,
  target: Target,
  sizes: Sizes,
  tile: Tile,
  { share, ...steps }: Wish,
): ChannelPlan | undefined {
  const { lanes, bytes, rows, depth, taps, out } = sizes;
  const columns = tile.vectors * lanes;
  const blocks = Math.ceil(rows / columns);
  const cores = Math.max(1, target.cores);
  const batch = typeof plan.batch === 'number' ? plan.batch : 1;
  const wanted = cores === 1 ? 1 : Math.ceil((tasksPerCore * cores) / (batch * plan.groups));
  const tiles = out.map((_, i) =>
    i === out.length - 1 ? tile.outputs : i === out.length - 2 ? tile.lines : 1,
  );
  // Weights that weigh more than the input are read once: tasks share out blocks of channels.
  const isHeavy = taps * columns * blocks > out.reduce((count, each) => count * each, 1);
  const budget = bandBudget(target, share);
  if (budget === 0) return undefined;
  const first = firstCache(target);
  const wish = {
    channels: depth,
    bytes,
    budget,
    wanted: isHeavy ? 1 : wanted,
    firstCache: first,
    ...steps,
  };
  // Where rows stay whole, their tiles differ by one output; else all of a block are equal.
  const whole = planBand(spatial, [...tiles.slice(0, -1), 1], wish);
  const differ = tilesDiffer(target, tile) && whole?.axes.at(-1)?.blocks === 1;
  const band = differ ? whole : planBand(spatial, tiles, wish);
  if (band === undefined) return undefined;
  const parts = band.axes.reduce((count, axis) => count * axis.blocks, 1);
  const shares = Math.min(blocks, Math.max(1, Math.ceil(wanted / parts)));
  // A tile's inputs of one channel: lines of the cache, each begun in the middle.
  const reach = (tile.outputs - 1) * (spatial.at(-1)?.stride ?? 1) + 1;
  const near = first * chunkShare;
  const most = Math.max(1, Math.floor(near / (tile.lines * (reach * bytes + lineBytes))));
  return {
    lanes,
    columns,
    outputs: tile.outputs,
    lines: tile.lines,
    ...(differ && { tallTiles: tallOf(out.at(-1) ?? 1, tile.outputs) }),
    blocks,
    taskBlocks: Math.ceil(blocks / shares),
    chunk: evenHeight(depth, most),
    steps: depth * taps,
    band,
    constant: isConstantValue(step, weights as Node),
  };
}
