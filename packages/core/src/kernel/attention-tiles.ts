/** Shapes of the register tiles of attention whose lanes lie along the queries. */
import { variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { AttentionPlan } from './attention-plan.js';
import { fewTiles, registerTile } from './register-tile.js';

/** Keys of a block: with the queries, their scores and values it stays in the first cache. */
const blockKeys = 64;

export interface AttentionTiles {
  readonly lanes: number;
  /** Queries of a task. */
  readonly queries: number;
  /** Keys that one tile of scores covers, and of a block. */
  readonly keys: number;
  readonly block: number;
  /** Queries and value columns of one tile of results; some may be a row lower. */
  readonly rows: number;
  readonly columns: number;
}

export function attentionTiles(
  plan: Pick<AttentionPlan, 'queries' | 'width'>,
  target: Target,
): AttentionTiles {
  // Two vectors of queries: causality cuts wider tiles of scores badly. Keys come in blocks.
  const most = 2 * Math.floor(target.vectorBytes / 4);
  const wanted = typeof plan.queries === 'number' ? Math.min(plan.queries, most) : most;
  const tile = registerTile(target, 'f32', variable('$keys'), wanted);
  const { rows: keys, columns: queries, lanes } = tile;
  const block = keys * Math.max(1, Math.floor(blockKeys / keys));
  const vectors = Math.ceil(plan.width / lanes);
  const wide = vectors % 2 === 0 ? 2 : 1;
  const mostRows = Math.floor((keys * queries) / lanes / wide);
  let rows = queries;
  while (rows > mostRows && rows % 2 === 0) rows /= 2;
  // Tiles of two heights where those of one have fewer sums: units wait less for the last ones.
  if (mostRows > rows) rows = fewTiles(queries, mostRows);
  return { lanes, queries, keys, block, rows, columns: wide * lanes };
}
