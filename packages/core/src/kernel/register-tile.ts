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
  // One register for each vector of the right operand, and one for an element of the left.
  if (target.vectorRegisters >= 32) return target.vectorRegisters - vectors - 1;
  // Measured on wasm: beyond 4 × 2 vectors of 128 bits engines spill.
  return target.vectorBytes === 16 ? 8 : 12;
}

/**
 * A tile whose accumulators stay in registers. `rows` and `columns` are the sizes of the problem
 * where they are known; `wide` says that a tile may be several vectors wide.
 */
export function registerTile(
  target: Target,
  type: ComputeType,
  rows: Expression,
  columns: Expression,
): RegisterTile {
  const lanes = Math.max(1, Math.floor(target.vectorBytes / bytesOfType(type)));
  const widest = target.vectorRegisters >= 32 || lanes === 1 ? [2, 1, 3, 4] : [2, 1];
  const wanted = typeof columns === 'number' ? Math.max(columns, 1) : Number.POSITIVE_INFINITY;
  const scalar = lanes === 1 ? (accumulatorsOf(target, 1) > 16 ? [8, 4, 2, 1] : [4, 2, 1]) : widest;
  let best: RegisterTile | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const vectors of scalar) {
    const width = vectors * lanes;
    const height = evenHeight(rows, Math.floor(accumulatorsOf(target, vectors) / vectors));
    const covered =
      wanted === Number.POSITIVE_INFINITY ? 1 : (Math.ceil(wanted / width) * width) / wanted;
    // Loads per accumulation: one per vector and one per row.
    const cost = covered * (1 + 1 / vectors / 4 + 1 / height / 2);
    if (cost < bestCost - 1e-9) {
      best = { rows: height, columns: width, lanes };
      bestCost = cost;
    }
  }
  return best as RegisterTile;
}

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

/** The largest height up to `most` that cuts the rows into tiles of (nearly) equal size. */
export function evenHeight(rows: Expression, most: number): number {
  if (typeof rows !== 'number') return most;
  if (rows <= 0) return 1;
  // No short tile at all is worth a few accumulators.
  for (let height = most; height * 3 >= most * 2; height--) if (rows % height === 0) return height;
  return Math.ceil(rows / Math.ceil(rows / most));
}
