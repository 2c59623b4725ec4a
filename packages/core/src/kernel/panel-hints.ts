/**
 * What a tile of rows that walks a packed panel asks memory for: loads of whole lines say what of
 * the panel, and of the next group of panels, comes soon; narrower vectors ask now and then for
 * many lines of the next group.
 */
import {
  add,
  type Expression,
  floorDivide,
  modulo,
  multiply,
  type Size,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelBuilder } from './builder.js';
import type { TaskBlocks } from './contract-blocks.js';
import type { Requests } from './depth-walk.js';
import type { Hints } from './register-operands.js';
import type { RegisterTile } from './register-tile.js';
import { bytesAhead, lineBytes } from './streaming.js';

/** A tile at `row` that walks the panel whose first element is `base`. Sizes in elements. */
export interface PanelWalk {
  readonly builder: KernelBuilder;
  readonly target: Target;
  readonly tile: RegisterTile;
  /** Undefined where the walk is no task's own. */
  readonly blocks: TaskBlocks | undefined;
  readonly row: Expression;
  readonly base: Expression;
  readonly steps: Size;
}

/**
 * What loads say of those to come: of their own panel, which comes from the second cache, and of
 * the next group, where it comes from beyond. Each tile of rows asks for a part of a panel, a
 * vector per step.
 */
export function hintsOf(walk: PanelWalk): (at: Expression) => Hints {
  const { builder: b, target, tile, blocks, row, base, steps } = walk;
  if (blocks === undefined || !blocks.asksAhead) return () => ({});
  const ahead = (bytesAhead * tile.lanes) / target.vectorBytes;
  if (!blocks.asksLater) return () => ({ ahead });
  const part = modulo(floorDivide(row, tile.rows), tile.columns / tile.lanes);
  const beyond = add(blocks.group * tile.columns, multiply(part, tile.lanes));
  const next = b.bind(add(base, multiply(steps, beyond)));
  return (at) => ({ ahead, later: add(next, multiply(at, tile.lanes)) });
}

/** What is asked for between stretches of the depth: by each tile of rows, a part of each. */
export function requestsOf(walk: PanelWalk, panels: string | undefined): Requests | undefined {
  const { builder: b, target, tile, blocks, row, base, steps } = walk;
  const every = blocks?.stepsPerRequest ?? 0;
  if (panels === undefined || blocks === undefined || every === 0) return undefined;
  const line = (lineBytes * tile.lanes) / target.vectorBytes;
  const lines = Math.ceil((every * tile.columns) / line);
  const each = Math.ceil((lines * tile.rows) / blocks.rows);
  const part = modulo(floorDivide(row, tile.rows), Math.ceil(lines / each));
  const beyond = multiply(steps, blocks.group, tile.columns);
  const next = b.bind(add(base, beyond, multiply(part, each * line)));
  const ask = (step: Expression): void =>
    b.touch(panels, add(next, multiply(step, tile.columns)), each * line);
  return { every, ask };
}
