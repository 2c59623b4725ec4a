/**
 * How a contraction by register tiles is cut into tasks. A task walks groups of panels of columns,
 * and all of its rows over each: both stay in the second cache, a tile of rows in the first, and
 * the next group is on its way.
 */
import { ceilDivide, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import { fewTiles, isOneTile, type RegisterTile } from './register-tile.js';
import { lineBytes } from './streaming.js';

export interface TaskBlocks {
  /** Rows of a task, a multiple of the tile's. */
  readonly rows: number;
  /** Panels of a task, and how many of them a tile of rows walks before the next tile. */
  readonly panels: number;
  readonly group: number;
  /** Whether a walk of a packed panel says, line by line, what of it and the next group comes. */
  readonly asksAhead: boolean;
  readonly asksLater: boolean;
  /** Steps of the depth from one request of narrow vectors to the next; 0: none. */
  readonly stepsPerRequest: number;
}

/** What is multiplied. Sizes in elements; of words, in words. */
export interface BlockWork {
  readonly rows: Size;
  readonly panels: Size;
  readonly depth: Size;
  /** Products of this size. */
  readonly outer: Size;
  /** Of an element. */
  readonly bytes: number;
  /** Whether the elements of a panel lie side by side. */
  readonly isPacked: boolean;
}

/** Tasks per core that even out the end of a launch, and the share of a core that may idle. */
const tasksPerCore = 4;
const idleShare = 0.05;
/** Parts of the second cache for the rows of a task: as a rule, and at most. */
const usualShare = 1 / 5;
const mostShare = 1 / 2;
/** Part of the second cache for a group of panels, and what a panel may take beside rows. */
const groupShare = 1 / 8;
const panelShare = 1 / 5;
/** Bytes of a group that is read in place. */
const placeBytes = 2 ** 20;
/** Rows that a panel is used for, so that it may come from beyond the second cache. */
const leastRows = 96;
/** Steps of the depth between requests of narrow vectors. */
const usualStretch = 64;
/** Multiplications of a task at most: a run can be stopped between tasks. */
const mostWork = 2 ** 29;
/** Sizes that are known only when the program runs are guessed to be. */
const usualDepth = 512;
const usualTiles = 8;
const usualPanels = 8;

/** Bytes of a core's caches; the usual ones where no fact says how large they are. */
export const firstCache = ({ cacheBytes: [first = 2 ** 15] }: Target): number => first;
const secondCache = ({ cacheBytes: [, second = 2 ** 19] }: Target): number => second;

/** Bytes that rows of a task may take. */
export const leftBudget = (target: Target): number => secondCache(target) * mostShare;

/** The same where panels are asked for ahead: rows may come from beyond, too. */
export const askedBudget = (target: Target): number => secondCache(target) * 2;

/** Whether loads of a panel say what of it comes soon: from the second cache, a line at a time. */
export const saysAhead = (target: Target, panelBytes: number): boolean =>
  target.vectorBytes >= lineBytes && panelBytes > firstCache(target) / 2;

export function taskBlocks(
  target: Target,
  tile: RegisterTile,
  { rows, panels, depth, outer, bytes, isPacked }: BlockWork,
): TaskBlocks {
  const steps = typeof depth === 'number' ? Math.max(depth, 1) : usualDepth;
  const tileBytes = tile.rows * steps * bytes;
  const fitting = (budget: number): number => Math.floor(budget / tileBytes);
  const panelBytes = tile.columns * steps * bytes;
  const second = secondCache(target);
  const isOne = isOneTile(rows, tile);
  const all = typeof panels === 'number' ? panels * panelBytes : Number.POSITIVE_INFINITY;
  const isBeyond = !isOne && all > leftBudget(target);
  const isLine = target.vectorBytes >= lineBytes;
  // Narrower vectors would ask for every line several times: they ask once for many.
  const mayAsk = !isLine && target.hintsLoad !== true;
  const isAsked = mayAsk && isBeyond && isPacked && panelBytes >= firstCache(target);
  const isLong = panelBytes > second * panelShare && !isAsked;
  const least = Math.ceil(leastRows / tile.rows);
  const usual = Math.max(least, fitting(second * usualShare));
  const asked = isAsked ? Math.min(least, fitting(askedBudget(target))) : 0;
  const mostTiles = Math.max(1, asked, fitting(leftBudget(target)));
  // Beside a long panel there is no room for rows: they come by, tile after tile.
  const most = isLong ? Number.MAX_SAFE_INTEGER : Math.min(mostTiles, usual);
  const tiles =
    typeof rows === 'number'
      ? fewTiles(Math.ceil(rows / tile.rows), most)
      : Math.min(most, usualTiles);
  const byWork = Math.floor(mostWork / (tile.rows * tile.columns * steps));
  const taskRows = Math.max(1, Math.min(tiles, byWork)) * tile.rows;
  // A panel that is read once comes from memory: there the hardware begins anew at every page.
  const isStream = isOne && target.hintsLoad === true;
  // One row waits for nothing else than its panel, and the hardware sees that coming.
  const says = tile.rows > 1 && saysAhead(target, panelBytes);
  const asksAhead = isStream ? all > second : says;
  const stepsPerRequest = isAsked ? usualStretch : 0;
  const groupBytes = isPacked ? second * groupShare : Math.min(2 * second, placeBytes);
  const group = Math.max(1, Math.floor(groupBytes / panelBytes));
  // Panels that another group follows, or the panels of another product.
  const isLast = outer === 1 && typeof panels === 'number' && panels <= group;
  const asksLater = asksAhead && !isOne && !isLast;
  const common = { rows: taskRows, group, asksAhead, asksLater, stepsPerRequest };
  // A panel that is read once: tasks are as small as they can be.
  if (isOne) return { ...common, panels: 1 };
  const fewest = Math.max(1, Math.floor(mostWork / (taskRows * tile.columns * steps)));
  if (typeof panels !== 'number') return { ...common, panels: Math.min(usualPanels, fewest) };
  const rowBlocks = typeof rows === 'number' ? Math.ceil(rows / taskRows) : 1;
  const others = rowBlocks * (typeof outer === 'number' ? outer : 1);
  const cuts = columnBlocks(panels, others, Math.max(1, target.cores));
  return { ...common, panels: Math.min(fewTiles(panels, ceilOf(panels, cuts)), fewest) };
}

const ceilOf = (a: number, b: number): number => ceilDivide(Math.max(a, 1), b) as number;

/** Blocks of columns that give the cores enough tasks, and each core as many. */
function columnBlocks(panels: number, others: number, cores: number): number {
  if (cores === 1) return 1;
  for (let blocks = 1; blocks < panels; blocks++) {
    const tasks = others * ceilOf(panels, ceilOf(panels, blocks));
    const turns = ceilOf(tasks, cores) * cores;
    if (tasks >= tasksPerCore * cores && (turns - tasks) / turns <= idleShare) return blocks;
    // Far more tasks than cores end evenly enough.
    if (tasks >= 4 * tasksPerCore * cores) return blocks;
  }
  return Math.max(1, panels);
}
