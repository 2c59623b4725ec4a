/**
 * What a tile of rows that walks a packed panel asks memory for: loads of whole lines say what of
 * the panel comes soon. Of the next group of panels, each tile of rows asks for a part: where a
 * vector is a line, for one line every other step; narrower ones now and then for many.
 */
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  modulo,
  multiply,
  type Size,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelBuilder } from './builder.js';
import { saysAhead, type TaskBlocks } from './contract-blocks.js';
import type { Requests } from './depth-walk.js';
import type { Hints } from './register-operands.js';
import type { RegisterTile } from './register-tile.js';
import { bytesAhead, lineBytes } from './streaming.js';

/** Steps from one request to the next where each is for a line: more than tiles need cost time. */
const stepsPerLine = 2;

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

/** What loads of a panel of so many elements say of its elements to come. */
export function aheadIn(target: Target, lanes: number, elements: number): Hints {
  const bytes = target.vectorBytes / lanes;
  return saysAhead(target, elements * bytes) ? { ahead: bytesAhead / bytes } : {};
}

/**
 * What loads say of those to come: of their own panel, which comes from the second cache, and of
 * the next group, which comes from beyond, unless that is asked for between them. Each tile of rows
 * asks for a part of a panel, a vector per step.
 */
export function hintsOf(walk: PanelWalk, isAsked: boolean): (at: Expression) => Hints {
  const { builder: b, target, tile, blocks, row, base, steps } = walk;
  if (blocks === undefined || !blocks.asksAhead) return () => ({});
  const ahead = (bytesAhead * tile.lanes) / target.vectorBytes;
  if (isAsked || !blocks.asksLater) return () => ({ ahead });
  const part = modulo(floorDivide(row, tile.rows), tile.columns / tile.lanes);
  const beyond = add(blocks.group * tile.columns, multiply(part, tile.lanes));
  const next = b.bind(add(base, multiply(steps, beyond)));
  return (at) => ({ ahead, later: add(next, multiply(at, tile.lanes)) });
}

/** What is asked for between stretches of the depth: by each tile of rows, a part of each. */
export function requestsOf(walk: PanelWalk, panels: string | undefined): Requests | undefined {
  const { builder: b, target, tile, blocks, row, base, steps } = walk;
  const isLine = blocks?.asksLater === true;
  const every = isLine ? stepsPerLine : (blocks?.stepsPerRequest ?? 0);
  if (panels === undefined || blocks === undefined || every === 0) return undefined;
  const line = (lineBytes * tile.lanes) / target.vectorBytes;
  const lines = Math.ceil((every * tile.columns) / line);
  const each = Math.ceil((lines * tile.rows) / blocks.rows);
  // Few tiles of rows ask at every step: see hintsOf.
  if (isLine && each > 1) return undefined;
  const part = modulo(floorDivide(row, tile.rows), Math.ceil(lines / each));
  const beyond = multiply(steps, blocks.group, tile.columns);
  // Requests of a line are for neighbours in memory, as the hardware's own are.
  const [first, perStep] = isLine
    ? [multiply(part, ceilDivide(steps, every), line), line / every]
    : [multiply(part, each * line), tile.columns];
  const next = b.bind(add(base, beyond, first));
  const ask = (step: Expression): void => {
    const address = add(next, multiply(step, perStep));
    if (isLine) b.touchLater(panels, address, line);
    else b.touch(panels, address, each * line);
  };
  return { every, ask };
}
