/** Tiles of rows: whole ones, and what is left of the rows in tiles of their own code. */
import {
  add,
  type Expression,
  equal,
  floorDivide,
  lessThan,
  modulo,
  multiply,
  subtract,
} from '../base/expression.js';
import type { KernelBuilder } from './builder.js';
import { dividesBy } from './left-pack.js';

export interface TiledRows {
  /** All rows that there are. */
  readonly total: Expression;
  /** Rows of a tile. */
  readonly tile: number;
  /** Whether a short tile may read beyond the last row. */
  readonly packed: boolean;
}

/**
 * Tiles of rows [start, end). A packed left operand has zeros beyond the last row; else a short
 * tile is its own code, in powers of two where its height is not known.
 */
export function writeRowTiles(
  b: KernelBuilder,
  { total, tile, packed }: TiledRows,
  [start, end]: readonly [Expression, Expression],
  body: (row: Expression, height: number) => void,
): void {
  if (typeof total === 'number' || packed) {
    const isWhole = packed || dividesBy(total, tile);
    const short = isWhole || typeof total !== 'number' ? tile : total % tile;
    b.for(start, end, tile, (row) => {
      if (isWhole) body(row, tile);
      else if (typeof total === 'number' && total < tile) body(row, short);
      else {
        const last = lessThan(subtract(total, row), tile);
        b.if(
          last,
          () => body(row, short),
          () => body(row, tile),
        );
      }
    });
    return;
  }
  const count = subtract(end, start);
  const whole = multiply(floorDivide(count, tile), tile);
  const rest = modulo(count, tile);
  const middle = b.bind(add(start, whole));
  if (!equal(whole, 0)) b.for(start, middle, tile, (row) => body(row, tile));
  if (equal(rest, 0)) return;
  if (typeof rest === 'number') {
    body(middle, rest);
    return;
  }
  const left = b.bind(rest);
  for (let height = largestPower(tile - 1); height >= 1; height /= 2) {
    const before = subtract(left, modulo(left, multiply(2, height)));
    const wanted = modulo(floorDivide(left, height), 2);
    b.if(wanted, () => body(b.bind(add(middle, before)), height));
  }
}

function largestPower(below: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(below, 1)));
}
