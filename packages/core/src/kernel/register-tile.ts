/** Shapes of register tiles: how many accumulators fit, and how rows and columns share them. */
import type { Expression } from '../base/expression.js';
import type { ComputeType, Target } from '../base/target.js';

export interface RegisterTile {
  readonly rows: number;
  readonly columns: number;
  /** Elements of a hardware vector. */
  readonly lanes: number;
}

const bytesOfType = (type: ComputeType): number => (/64$/.test(type) ? 8 : 4);

/** Accumulators that leave registers for the operands of a tile of so many vectors. */
export function accumulatorsOf(target: Target, vectors: number): number {
  if (target.vectorRegisters < 16) return Math.max(1, target.vectorRegisters - 2);
  // Measured on a software adapter: 8 × 8 scalars take half the time of 4 × 4.
  if (target.vectorBytes === 0) return target.vectorRegisters >= 64 ? 64 : 16;
  // One register for each vector of the right operand, and one for an element of the left; two
  // where it is loaded, so that the next comes while one is used.
  const elements = target.elementsLoaded === true ? 2 : 1;
  if (target.vectorRegisters >= 32) return target.vectorRegisters - vectors - elements;
  return target.vectorBytes === 16 ? 8 : 12;
}

/**
 * Tile shapes where the operands of a step lie in registers before its multiplications, those of
 * one half of the rows after those of the other, and one register is the engine's own; a product
 * that is rounded on its own takes another.
 */
export function tilesAhead(
  target: Target,
  isFused: boolean,
): readonly { vectors: number; height: number }[] {
  const free = target.vectorRegisters - 1 - (isFused ? 0 : 1);
  return [3, 2, 1].map((vectors) => {
    let height = 1;
    while ((height + 2) * vectors + Math.ceil((height + 1) / 2) <= free) height++;
    return { vectors, height };
  });
}

/**
 * Tile shapes for one row, whose vectors of the right operand are used once, as they come: for each
 * a register and one for its sum.
 */
const tilesOfRow = (target: Target): readonly { vectors: number; height: number }[] =>
  [6, 4]
    .filter((vectors) => 2 * vectors + 2 < target.vectorRegisters)
    .map((vectors) => ({ vectors, height: 1 }));

/** Sums that run at once so that two units of four steps are always busy. */
export const busySums = 9;

/** What a step of a tile costs by its sums: loads, one per vector and one per row, and waiting. */
export function costOfTile(target: Target, vectors: number, height: number): number {
  const waits = target.operandsAhead === true && vectors * height < busySums ? 1 / 12 : 0;
  // An element that is loaded alone takes its address, too.
  const element = target.elementsLoaded === true ? 1 / 2 : 1 / 4;
  return 1 + element / vectors + 1 / height / 2 + waits;
}

/**
 * A tile whose accumulators stay in registers. `rows` and `columns` are the sizes of the problem
 * where they are known; `isFused` says that a product is rounded, or made, with its sum.
 */
export function registerTile(
  target: Target,
  type: ComputeType,
  rows: Expression,
  columns: Expression,
  isFused = target.fusedMultiplyAdd && (type === 'f32' || type === 'f64'),
): RegisterTile {
  const lanes = Math.max(1, Math.floor(target.vectorBytes / bytesOfType(type)));
  const widest = target.vectorRegisters >= 32 || lanes === 1 ? [2, 1, 3, 4] : [2, 1];
  const wanted = typeof columns === 'number' ? Math.max(columns, 1) : Number.POSITIVE_INFINITY;
  const scalar = lanes === 1 ? (accumulatorsOf(target, 1) > 16 ? [8, 4, 2, 1] : [4, 2, 1]) : widest;
  const shapes =
    target.operandsAhead === true && lanes > 1
      ? [
          ...(rows === 1 ? tilesOfRow(target) : []),
          ...tilesAhead(target, isFused).map((shape) => ({
            ...shape,
            height: fewTiles(rows, shape.height),
          })),
        ]
      : scalar.map((vectors) => {
          const most = Math.floor(accumulatorsOf(target, vectors) / vectors);
          return { vectors, height: evenHeight(rows, most, leastHeight(target, most)) };
        });
  let best: RegisterTile | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const { vectors, height } of shapes) {
    const width = vectors * lanes;
    const covered =
      wanted === Number.POSITIVE_INFINITY ? 1 : (Math.ceil(wanted / width) * width) / wanted;
    const cost = covered * costOfTile(target, vectors, height);
    if (cost < bestCost - 1e-9) {
      best = { rows: height, columns: width, lanes };
      bestCost = cost;
    }
  }
  return best as RegisterTile;
}

/** Rows of a tile of one vector at most: sums enough, and see `inPlace`. */
const mostRowsOfVector = 12;

/**
 * The tile for a left operand that is read where it lies: where there is one vector, it has no more
 * rows than one set of the nearest cache has lines for, as where rows lie a page apart.
 */
export function inPlace(tile: RegisterTile, rows: Expression): RegisterTile {
  const isHigh = tile.lanes > 1 && tile.columns === tile.lanes && tile.rows > mostRowsOfVector;
  return isHigh ? { ...tile, rows: evenHeight(rows, mostRowsOfVector) } : tile;
}

/** Whether one tile holds all rows: then a panel is read once, and no cache would keep it. */
export const isOneTile = (rows: Expression, tile: RegisterTile): boolean =>
  typeof rows === 'number' && rows <= tile.rows;

/** A tile of a given width whose height divides `block`. */
export function tileWithin(
  target: Target,
  type: ComputeType,
  block: number,
  columns: number,
): RegisterTile {
  const lanes = Math.max(1, Math.floor(target.vectorBytes / bytesOfType(type)));
  const most = Math.max(1, Math.floor((accumulatorsOf(target, columns / lanes) * lanes) / columns));
  let rows = Math.min(most, block);
  while (block % rows !== 0) rows--;
  return { rows, columns, lanes };
}

/** A height of which as few tiles as of `most` cover the rows. */
export const fewTiles = (rows: Expression, most: number): number =>
  typeof rows !== 'number' || rows <= 0 ? most : Math.ceil(rows / Math.ceil(rows / most));

/**
 * Where registers are few, each row of sums counts: with a third less the units wait for them; and
 * where elements are loaded alone, each row makes the loads of the vectors count less.
 */
export const leastHeight = (target: Target, most: number): number =>
  target.operandsAhead === true || (target.vectorRegisters >= 32 && target.elementsLoaded !== true)
    ? (most * 2) / 3
    : most - 1;

/** The largest height from `least` to `most` that cuts rows into tiles of (nearly) equal size. */
export function evenHeight(rows: Expression, most: number, least = (most * 2) / 3): number {
  if (typeof rows !== 'number') return most;
  if (rows <= 0) return 1;
  // No short tile at all is worth a few accumulators.
  for (let height = most; height >= least; height--) if (rows % height === 0) return height;
  return fewTiles(rows, most);
}
