/**
 * How a contraction on a matrix unit is cut into tasks: a task packs a block of its rows and of the
 * depth, which stays in the second cache, and walks panels of columns over it. Chosen by estimated
 * cycles: few blocks of rows read the panels seldom, few blocks of columns pack the rows seldom.
 */
import { bytesOf } from '../base/dtype.js';
import type { MatrixUnit } from '../base/target.js';

export interface UnitBlocks {
  /** Steps of the unit's depth that one block of the left operand covers. */
  readonly blockSteps: number;
  /** Rows and panels of columns of a task. */
  readonly taskRows: number;
  readonly taskPanels: number;
  /**
   * Whether a group of rows walks all panels, which then stay in the second cache, so that the
   * output is written row by row; otherwise a panel walks all groups of rows.
   */
  readonly panelsInside: boolean;
  /**
   * Steps of the depth after which other rows, or panels, are taken: of what does not walk inside,
   * so much stays in the first cache.
   */
  readonly chunkSteps: number;
  /** Whether what walks inside does not stay in the first cache. */
  readonly passesBy: boolean;
  /** Whether the next panel is asked for, since panels come from beyond the second cache. */
  readonly asksAhead: boolean;
}

export interface UnitWork {
  readonly rows: number;
  readonly columns: number;
  /** Steps of the unit's depth. */
  readonly steps: number;
  /** Products of this size. */
  readonly outer: number;
  readonly cores: number;
}

export interface UnitTile {
  readonly unit: MatrixUnit;
  readonly parts: number;
  readonly products: number;
  readonly rowTiles: number;
  readonly columnTiles: number;
}

/**
 * Bytes of a block of the left operand, which shall stay in the second cache: where tiles are
 * multiplied often, and where each that comes is multiplied by one pair.
 */
const leftBudget = 768 * 1024;
const passingBudget = 512 * 1024;
/** Bytes of one row's part in a block of the depth, for the same, and what is worth a block. */
const mostBlockBytes = 2048;
const mostPassingBytes = 4096;
const leastBlockBytes = 1024;
/** Bytes of an operand's tiles that stay in the first cache while the other passes by. */
const firstBudget = 32 * 1024;
/** Bytes of panels that stay in the second cache beside such a block, for the same. */
const panelBudget = 512 * 1024;
const passingPanelBudget = 1024 * 1024;
/** Rows over which a panel lasts long enough for asking for the next one by and by. */
const leastRows = 96;
/** Columns of a task: a block of sums is read and written once per block of the depth. */
const mostColumns = 2048;

/** Cycles, measured on tiles of 16 × 16: of a product of tiles out of the second cache … */
const productCycles = 28;
/** … of an element of the left operand that is packed … */
const packCycles = 1;
/** … of a byte of a panel that comes from beyond the second cache … */
const panelCycles = 0.15;
/** … of a sum that waits for the next block of the depth, where tiles are multiplied often … */
const sumCycles = 0.5;
/** … and where the caches have enough to do with those that pass by … */
const passingSumCycles = 3;
/** … and the share of a task by which the last ones end apart. */
const unevenShare = 0.1;

const up = (a: number, b: number): number => Math.ceil(a / b);

/** The blocks of least estimated time. */
export function unitBlocks(work: UnitWork, tile: UnitTile): UnitBlocks {
  const { rows, columns, steps, outer } = work;
  const { unit, parts, products, rowTiles, columnTiles } = tile;
  const cores = Math.max(1, work.cores);
  const [tall, wide] = [rowTiles * unit.m, columnTiles * unit.n];
  const [high, across] = [up(rows, tall), up(columns, wide)];
  const rowBytes = unit.k * bytesOf(unit.left);
  const isPassing = products === 1;
  const mostSteps = (isPassing ? mostPassingBytes : mostBlockBytes) / rowBytes;
  const budget = isPassing ? passingBudget : leftBudget;
  const waitCycles = isPassing ? passingSumCycles : sumCycles;
  const leastSteps = Math.min(steps, leastBlockBytes / rowBytes);
  let best: Blocks = { blockSteps: mostSteps, taskRows: tall, taskPanels: 1 };
  let bestCycles = Number.POSITIVE_INFINITY;
  for (let rowBlocks = 1; rowBlocks <= high; rowBlocks = nextCount(rowBlocks, high)) {
    const taskRows = tall * up(high, rowBlocks);
    const fitting = Math.floor(budget / (taskRows * rowBytes * parts));
    if (Math.min(mostSteps, fitting) < leastSteps && taskRows > tall) continue;
    const depthBlocks = up(steps, Math.max(1, Math.min(mostSteps, fitting)));
    const blockSteps = up(steps, depthBlocks);
    for (let columnBlocks = 1; columnBlocks <= across; ) {
      const taskPanels = up(across, columnBlocks);
      if (taskPanels * wide <= mostColumns) {
        const tasks = outer * rowBlocks * columnBlocks;
        const multiply = rows * columns * steps * unit.k * products * productCycles;
        const pack = columnBlocks * rows * steps * unit.k * packCycles;
        const read = rowBlocks * columns * steps * rowBytes * parts * panelCycles;
        const wait = (depthBlocks - 1) * rows * columns * waitCycles;
        const all = outer * (multiply / (unit.m * unit.n * unit.k) + pack + read + wait);
        const turns = up(tasks, cores) + (cores > 1 ? unevenShare : 0);
        const cycles = (all / tasks) * turns;
        if (cycles < bestCycles) {
          best = { blockSteps, taskRows, taskPanels };
          bestCycles = cycles;
        }
      }
      columnBlocks = nextCount(columnBlocks, across);
    }
  }
  return { ...best, ...walkOf(best, work, tile) };
}

type Blocks = Pick<UnitBlocks, 'blockSteps' | 'taskRows' | 'taskPanels'>;

/** What of a task's operands stays in which cache. */
function walkOf(
  { blockSteps, taskRows, taskPanels }: Blocks,
  { steps }: UnitWork,
  { unit, parts, products, rowTiles, columnTiles }: UnitTile,
): Omit<UnitBlocks, keyof Blocks> {
  const length = Math.min(steps, blockSteps);
  const tileBytes = unit.n * unit.k * bytesOf(unit.left) * parts;
  const panelBytes = columnTiles * tileBytes;
  const allPanels = panelBytes * length * taskPanels;
  const panelsInside = allPanels <= (products > 1 ? panelBudget : passingPanelBudget);
  const asksAhead = !panelsInside && taskRows >= leastRows;
  // Where each tile is multiplied often, the second cache gives enough.
  if (products > 1) return { panelsInside, asksAhead, passesBy: false, chunkSteps: blockSteps };
  const kept = panelsInside ? rowTiles * tileBytes : panelBytes;
  const passing = panelsInside ? allPanels : (taskRows / unit.m) * tileBytes * length;
  const most = Math.max(1, Math.floor(firstBudget / kept));
  const passesBy = passing > firstBudget;
  const chunkSteps = passesBy ? up(length, up(length, most)) : blockSteps;
  return { panelsInside, asksAhead, passesBy, chunkSteps };
}

/** The next number of blocks that makes them smaller. */
function nextCount(count: number, units: number): number {
  const size = up(units, count);
  return size === 1 ? units + 1 : up(units, size - 1);
}
