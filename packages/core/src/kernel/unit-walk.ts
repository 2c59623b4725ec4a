/**
 * Tiles of sums in a matrix unit's registers over a block that is packed: in which order its rows
 * and panels come by, what of them stays in the first cache, and what is asked for ahead.
 */
import type { DType } from '../base/dtype.js';
import { bytesOf } from '../base/dtype.js';
import {
  add,
  type Expression,
  equalTo,
  lessThan,
  minimum,
  multiply,
  subtract,
} from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import type { ContractSite } from './contract-store.js';
import type { UnitChoice } from './contract-unit.js';
import { computeType } from './elementwise.js';
import { lineBytes } from './streaming.js';
import { rightTileNumber, type UnitSizes } from './unit-pack.js';
import { UnitStore } from './unit-store.js';

/** Rows, panels and a part of the depth, packed. */
export interface UnitBlock {
  readonly start: Expression;
  readonly end: Expression;
  /** Tiles' rows that share operands: the first of the block in its task, and how many. */
  readonly firstGroup: Expression;
  readonly groups: Expression;
  readonly firstPanel: Expression;
  readonly lastPanel: Expression;
  readonly firstStep: Expression;
  readonly lastStep: Expression;
}

/** Tiles of sums at a panel and a group of rows, over steps [from, to) of the depth. */
interface Tiles {
  readonly panel: Expression;
  readonly group: Expression;
  readonly from: Expression;
  readonly to: Expression;
}

/** The compute type of a unit's operands as memory holds them. */
export const bitsOf = (dtype: DType): 'i32' | 'u32' => (dtype === 'i8' ? 'i32' : 'u32');

/** First element of a tile of a block's packed rows; `tile` counts from the block's first. */
export function leftTile(
  { unit, parts, blockSteps }: UnitChoice,
  { steps }: UnitSizes,
  block: UnitBlock,
  at: { readonly tile: Expression; readonly step: Expression; readonly part: number },
): Expression {
  const place = add(
    multiply(at.tile, Math.min(blockSteps, steps)),
    subtract(at.step, block.firstStep),
  );
  return multiply(add(multiply(place, parts), at.part), unit.m * unit.k);
}

export class UnitWalk {
  private readonly b: KernelBuilder;
  private readonly site: ContractSite;
  private readonly choice: UnitChoice;
  private readonly sizes: UnitSizes;
  private readonly panels: string;
  /** Memory for a block's rows: tiles at `leftTile`. */
  readonly packed: string;
  /** Sums that wait for the next steps of the depth; absent where all steps are done at once. */
  private readonly sums: string | undefined;
  private readonly store: UnitStore;
  private readonly type: ComputeType;

  constructor(site: ContractSite, choice: UnitChoice, sizes: UnitSizes, panels: string) {
    const { frame, plan } = site;
    const { unit, rowTiles, parts, blockSteps, panelsInside } = choice;
    this.b = frame.builder;
    this.site = site;
    this.choice = choice;
    this.sizes = sizes;
    this.panels = panels;
    this.type = computeType(plan.node.attributes.accumulate);
    const word = this.type === 'f32' ? 'f32' : 'i32';
    const tall = rowTiles * unit.m;
    const memory = unit.left === 'bf16' ? 'u16' : unit.left === 'i8' ? 'i8' : 'u8';
    const rows = panelsInside ? tall : choice.taskRows;
    const steps = Math.min(blockSteps, sizes.steps);
    this.packed = frame.scratch(memory, rows * steps * parts * unit.k);
    this.sums = this.waits ? frame.scratch(word, this.waiting()) : undefined;
    const finished = frame.scratch(word, tall * sizes.panelColumns);
    this.store = new UnitStore(site, choice, finished);
  }

  /** Whether sums wait while other rows or panels are walked. */
  private get waits(): boolean {
    const { chunkSteps } = this.choice;
    return this.waitsLong || chunkSteps < this.sizes.steps;
  }

  /** Whether they wait for the next block of the depth. */
  private get waitsLong(): boolean {
    return this.sizes.steps > this.choice.blockSteps;
  }

  /** Sums that wait at once. */
  private waiting(): number {
    const { waitsLong, sizes, choice } = this;
    const { unit, rowTiles, taskRows, taskPanels, panelsInside } = choice;
    const all = waitsLong || panelsInside ? taskPanels : 1;
    const rows = waitsLong || !panelsInside ? taskRows : rowTiles * unit.m;
    return all * rows * sizes.panelColumns;
  }

  /**
   * All products of a block. What walks inside comes by again and again: of the other operand a
   * part of the depth stays in the first cache meanwhile.
   */
  multiply(block: UnitBlock): void {
    const { b, choice } = this;
    const panels = (inner: (panel: Expression) => void): void =>
      b.for(block.firstPanel, block.lastPanel, 1, inner);
    const groups = (inner: (group: Expression) => void): void =>
      block.groups === 1 ? inner(0) : b.for(0, block.groups, 1, inner);
    const chunks = (inner: (from: Expression, to: Expression) => void): void => {
      const { chunkSteps, blockSteps } = choice;
      if (chunkSteps >= Math.min(blockSteps, this.sizes.steps)) {
        inner(block.firstStep, block.lastStep);
        return;
      }
      b.for(block.firstStep, block.lastStep, chunkSteps, (from) => {
        inner(from, minimum(add(from, chunkSteps), block.lastStep));
      });
    };
    const tiles = (panel: Expression, group: Expression, from: Expression, to: Expression) =>
      this.tiles(block, { panel, group, from, to });
    if (choice.panelsInside) {
      groups((group) => chunks((from, to) => panels((panel) => tiles(panel, group, from, to))));
    } else {
      panels((panel) => chunks((from, to) => groups((group) => tiles(panel, group, from, to))));
    }
  }

  private tiles(block: UnitBlock, at: Tiles): void {
    const { b, choice, sizes } = this;
    const { unit, rowTiles, columnTiles } = choice;
    const type = { dtype: this.type, shape: [unit.m, unit.n] };
    const zero = b.broadcast(b.literal(this.type, 0), type.shape);
    const sums = Array.from({ length: rowTiles * columnTiles }, () => b.variable(zero, type));
    const between = (tile: number) => this.sumPlace(block, at, tile);
    if (this.sums !== undefined) {
      b.if(lessThan(0, at.from), () => {
        sums.forEach((sum, tile) => {
          b.assign(sum, b.load(type, between(tile), { volatile: true }));
        });
      });
    }
    b.for(at.from, at.to, 1, (step) => {
      this.step(block, at, step, sums);
      this.askForPanel(at, step);
    });
    const finish = (): void => {
      const row = add(block.start, multiply(at.group, rowTiles * unit.m));
      this.store.write(row, multiply(at.panel, sizes.panelColumns), sums);
    };
    if (this.sums === undefined) {
      finish();
      return;
    }
    b.if(equalTo(at.to, sizes.steps), finish, () => {
      sums.forEach((sum, tile) => {
        b.store(between(tile), b.read(sum));
      });
    });
  }

  private sumPlace(block: UnitBlock, { panel, group }: Tiles, tile: number) {
    const { choice, waitsLong } = this;
    const { unit, rowTiles, columnTiles, taskRows, panelsInside } = choice;
    const one = unit.m * unit.n;
    const pair = rowTiles * columnTiles * one;
    const rows = waitsLong ? add(block.firstGroup, group) : panelsInside ? 0 : group;
    const across = waitsLong || panelsInside ? subtract(panel, block.firstPanel) : 0;
    const groups = waitsLong ? taskRows / (rowTiles * unit.m) : 1;
    const address = add(multiply(across, groups * pair), multiply(rows, pair), tile * one);
    return { buffer: this.sums as string, address, strides: [unit.n, 1] };
  }

  /** One step of the depth: products of parts, each operand loaded when its part changes. */
  private step(block: UnitBlock, at: Tiles, step: Expression, sums: readonly Variable[]): void {
    const { b, choice, sizes, site } = this;
    const { unit, rowTiles, columnTiles, passesBy, panelsInside } = choice;
    const side = unit.interleave;
    const once = (passes: boolean) => (passesBy && passes ? ({ once: true } as const) : {});
    const leftOf = (part: number): readonly Value[] =>
      Array.from({ length: rowTiles }, (_, row) => {
        const tile = add(multiply(at.group, rowTiles), row);
        const address = leftTile(choice, sizes, block, { tile, step, part });
        const place = { buffer: this.packed, address, strides: [unit.k, 1] };
        const type = { dtype: bitsOf(unit.left), shape: [unit.m, unit.k] };
        return b.load(type, { ...place, ...once(!panelsInside) }, { volatile: true });
      });
    const rightOf = (part: number): readonly Value[] =>
      Array.from({ length: columnTiles }, (_, tile) => {
        const place = { panel: at.panel, step, part, tile };
        const number = rightTileNumber(sizes, choice, site.bindings, place);
        const address = multiply(number, sizes.tileElements);
        const access = { buffer: this.panels, address, strides: [unit.n * side, 1] };
        const type = { dtype: bitsOf(unit.right), shape: [unit.k / side, unit.n * side] };
        return b.load(type, { ...access, ...once(panelsInside) }, { volatile: true });
      });
    let left: readonly Value[] = [];
    let right: readonly Value[] = [];
    choice.products.forEach(([a, c], i) => {
      const [before, other] = choice.products[i - 1] ?? [-1, -1];
      if (a !== before) left = leftOf(a);
      if (c !== other) right = rightOf(c);
      for (let row = 0; row < rowTiles; row++) {
        for (let column = 0; column < columnTiles; column++) {
          const sum = sums[row * columnTiles + column] as Variable;
          const [x, y] = [left[row] as Value, right[column] as Value];
          b.assign(sum, b.dot(x, y, b.read(sum), unit.name));
        }
      }
    });
  }

  /** Each group of rows asks for its part of the next panel, which comes from beyond the caches. */
  private askForPanel({ panel, group }: Tiles, step: Expression): void {
    const { b, choice, sizes, site } = this;
    const { unit, rowTiles, columnTiles, parts, taskRows, asksAhead } = choice;
    if (!asksAhead) return;
    const line = lineBytes / bytesOf(unit.right);
    const lines = (parts * columnTiles * sizes.tileElements) / line;
    const each = Math.ceil((lines * rowTiles * unit.m) / taskRows) * line;
    const place = { panel: add(panel, 1), step, part: 0, tile: 0 };
    const next = multiply(rightTileNumber(sizes, choice, site.bindings, place), sizes.tileElements);
    b.touchLater(this.panels, add(next, multiply(group, each)), each);
  }
}
