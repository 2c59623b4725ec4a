/** Whether a convolution runs on a matrix unit of a vector target, and in what blocks. */
import { type Precision, partsOf } from '../base/precision.js';
import type { MatrixUnit, Target } from '../base/target.js';
import { productsOf, type UnitChoice, unitFor } from './contract-unit.js';
import type { Band, BandAxis } from './window-band.js';
import { type ChannelPlan, planBeside, type Sizes, sizesOf, waste } from './window-channel-plan.js';
import type { WindowPlan } from './window-plan.js';

export interface WindowUnitPlan extends Pick<UnitChoice, 'parts' | 'splits' | 'products'> {
  readonly unit: MatrixUnit;
  /** The code for what the unit does not take, over the same band, by blocks of `unit.n`. */
  readonly plain: ChannelPlan;
  readonly band: Band;
  /** Steps of the unit's depth that cover the input channels, and kernel elements. */
  readonly chunks: number;
  readonly taps: number;
  /** Whether a line of positions runs on over rows, and outputs over its padding too. */
  readonly runsOn: boolean;
  /** Tiles of positions and of channels that share operands. */
  readonly rowTiles: number;
  readonly columnTiles: number;
  /** Positions of the band; those of a row; what tiles may read beyond the last. */
  readonly positions: number;
  readonly row: number;
  readonly slack: number;
  /** Blocks of columnTiles · n channels, and how many of them a task does. */
  readonly blocks: number;
  readonly taskBlocks: number;
}

/** Part of the second cache for a band; its parts take one and a half times as much. */
const bandShare = 1 / 8;
const columnTiles = 2;
/**
 * Cycles of a product for each row of its left tile, loads and stores with them, and vectors of
 * multiply-adds that plain code does in a cycle: measured on units with 16 rows beside two ports.
 */
const cyclesOfRow = 1.7;
const plainVectors = 1.7;

/** How the unit would do it; undefined where it cannot or where it does not pay. */
export function planWindowUnit(
  plan: WindowPlan,
  target: Target,
  precision: Precision,
): WindowUnitPlan | undefined {
  const { x, weights, accumulate, node, spatial } = plan;
  const sizes = sizesOf(plan, target);
  if (sizes === undefined || weights === undefined || accumulate !== 'f32') return undefined;
  if (x.dtype !== weights.dtype || !['f32', 'bf16'].includes(x.dtype)) return undefined;
  const unit = unitFor(target, 'bf16', 'bf16', 'f32');
  const { lanes, rows, depth, taps } = sizes;
  if (unit === undefined || unit.interleave !== 2) return undefined;
  if ([unit.m, unit.n, unit.k].some((size) => size % lanes !== 0)) return undefined;
  const splits = x.dtype === 'f32';
  const parts = splits ? partsOf[node.attributes.precision ?? precision] : 1;
  const steps = { channelStep: unit.k, rowStep: lanes };
  const plain = planBeside(plan, target, sizes, { share: bandShare, ...steps });
  if (plain === undefined) return undefined;
  const { band } = plain;
  const axes = band.axes.slice(-2);
  const isDense = spatial.slice(-2).every((s) => s.stride === 1) && axes.length === 2;
  const [height, width] = axes.length === 2 ? axes : [undefined, axes[0]];
  const row = (width as BandAxis).extent;
  const whole = (count: number, tiles: number): number => waste(count, tiles * unit.m);
  const block = (width as BandAxis).block;
  const lines = height?.block ?? 1;
  const along = ((lines - 1) * row + block) / (lines * block);
  const onCost = along * whole((lines - 1) * row + block, 2);
  const rowTiles = block > unit.m ? 2 : 1;
  const runsOn = isDense && onCost <= whole(block, rowTiles);
  const wide = columnTiles * unit.n;
  const spoilt =
    (runsOn ? onCost : whole(block, rowTiles) * (rowTiles === 1 ? 1.3 : 1)) *
    blockWaste(sizes, band) *
    waste(rows, wide) *
    waste(depth, unit.k);
  const products = productsOf[parts];
  const plainInRow = cyclesOfRow * plainVectors * lanes;
  if (spoilt * products.length * plainInRow > unit.n * unit.k) return undefined;
  const blocks = Math.ceil(rows / wide);
  const shares = Math.ceil(plain.blocks / plain.taskBlocks);
  const outer = band.axes.slice(0, -1).reduce((count, { extent }) => count * extent, 1);
  const stride = spatial.at(-1)?.stride ?? 1;
  return {
    unit,
    parts,
    splits,
    products,
    plain,
    band,
    chunks: Math.ceil(depth / unit.k),
    taps,
    runsOn,
    rowTiles: runsOn ? 2 : rowTiles,
    columnTiles,
    positions: outer * row,
    row,
    slack: 2 * unit.m * stride + lanes,
    blocks,
    taskBlocks: Math.ceil(blocks / Math.min(blocks, shares)),
  };
}

/** Outputs that blocks cover, beside those that there are. */
const blockWaste = ({ out }: Sizes, band: Band): number =>
  band.axes.reduce((all, { block }, i) => all * waste(out[i] as number, block), 1);
