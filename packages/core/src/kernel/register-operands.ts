/** Where the operands of a register tile lie, other than in place. */
import type { Expression } from '../base/expression.js';
import type { Value } from './builder.js';
import type { LeftPanels } from './left-pack.js';
import type { Access } from './tile.js';

/** What a load says of loads to come. */
export type Hints = Pick<Access, 'ahead' | 'later'>;

/** Packed operands whose words hold several elements of the depth, for a unit of vectors. */
export interface WordOperands {
  readonly unit: string;
  /** Words of the depth. */
  readonly steps: number;
  /** Words [height, 1] and [1, columns of the tile]. */
  left(row: Expression, height: number, step: Expression): Value;
  right(panel: Expression, step: Expression, hints: Hints): Value;
  /** First word of a panel of the right operand. */
  address(panel: Expression): Expression;
  /** What the sums of a panel's columns begin with, or of all. */
  initial(panel: Expression): Value;
}

/** Elements [1, columns of the tile] of the right operand at the bound depth, by their panel. */
export type RightElements = (panel: Expression) => Value;

export interface Operands {
  readonly panels?: string | undefined;
  readonly left?: LeftPanels | undefined;
  readonly leftBuffer?: string | undefined;
  readonly right?: RightElements | undefined;
  readonly words?: WordOperands;
}
