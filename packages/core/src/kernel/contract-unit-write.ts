/**
 * The contraction on a matrix unit: a task packs blocks of its rows into memory of its own, walks
 * the right operand's panels with tiles of sums in the unit's registers, and takes the plain code
 * where the range of what was packed says that the unit would not be right.
 */
import type { DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  equalTo,
  floorDivide,
  lessThan,
  minimum,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { ComputeType, Target } from '../base/target.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { writePlainTiles } from './contract-register.js';
import { type ContractSite, placeIn } from './contract-store.js';
import type { UnitChoice } from './contract-unit.js';
import { computeType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import type { RegisterTile } from './register-tile.js';
import type { TileAxis } from './tile-limits.js';
import { highHalf, mergeRanges, RangeOf, rangesFit, splitParts } from './unit-operand.js';
import {
  elementsOfPanels,
  outerPosition,
  panelsPerBlock,
  rightTileNumber,
  type UnitPanels,
  type UnitSizes,
  unitSizes,
} from './unit-pack.js';
import { UnitStore } from './unit-store.js';
import { ValueLowering } from './value.js';

/** A block of rows and of panels, and of the depth, that is being written. */
interface Block {
  readonly start: Expression;
  readonly end: Expression;
  /** Tiles' rows that share operands, so many in the block. */
  readonly groups: Expression;
  readonly firstPanel: Expression;
  readonly lastPanel: Expression;
  readonly firstStep: Expression;
  readonly lastStep: Expression;
}

type StepsOfBlock = 'firstStep' | 'lastStep';

export function writeUnitContract(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  choice: UnitChoice,
  panels: UnitPanels,
  plain: RegisterTile,
): LoweredKernel {
  return new UnitWriter(plan, groups, target, names, choice, panels, plain).write();
}

/** The compute type of a unit's operands as memory holds them. */
const bitsOf = (dtype: DType): 'i32' | 'u32' => (dtype === 'i8' ? 'i32' : 'u32');

class UnitWriter {
  private readonly site: ContractSite;
  private readonly choice: UnitChoice;
  private readonly sizes: UnitSizes;
  private readonly plain: RegisterTile;
  private readonly b: KernelBuilder;
  private readonly panels: string;
  /** The panels as words, where the plain code reads them too. */
  private readonly words: string | undefined;
  private readonly ranges: string | undefined;
  private readonly packed: string;
  /** Sums between blocks of the depth; absent where there is one block. */
  private readonly sums: string | undefined;
  private readonly store: UnitStore;
  private readonly rowExtent: number;
  private readonly type: ComputeType;

  constructor(
    plan: ContractPlan,
    groups: MergedGroups,
    target: Target,
    names: KernelNames,
    choice: UnitChoice,
    panels: UnitPanels,
    plain: RegisterTile,
  ) {
    const frame = new KernelFrame(plan.step, target);
    const bindings = new Bindings();
    const { unit, rowTiles } = choice;
    this.choice = choice;
    this.plain = plain;
    this.sizes = unitSizes(groups, choice);
    this.b = frame.builder;
    this.panels = frame.workspace(panels.panels, unit.right, 'read');
    this.words = panels.isOnlyCopy ? frame.workspace(panels.panels, 'u32', 'read') : undefined;
    this.ranges = frame.workspaceOf(panels.ranges, 'u32');
    const outputs = plan.step.outputs.map((node) => frame.output(node));
    this.site = { plan, groups, frame, names, bindings, outputs };
    this.rowExtent = (groups.rows.at(-1)?.extent ?? 1) as number;
    const tiles = choice.taskRows / unit.m;
    const blocks = Math.min(choice.blockSteps, this.sizes.steps);
    const memory = unit.left === 'bf16' ? 'u16' : unit.left === 'i8' ? 'i8' : 'u8';
    this.packed = frame.scratch(memory, tiles * blocks * choice.parts * unit.m * unit.k);
    this.type = computeType(plan.node.attributes.accumulate);
    const word = this.type === 'f32' ? 'f32' : 'i32';
    const { panelColumns, steps } = this.sizes;
    this.sums =
      steps > choice.blockSteps
        ? frame.scratch(word, choice.taskRows * choice.taskPanels * panelColumns)
        : undefined;
    const finished = frame.scratch(word, rowTiles * unit.m * panelColumns);
    this.store = new UnitStore(this.site, choice, finished);
  }

  write(): LoweredKernel {
    const { b, choice, sizes, site } = this;
    const { groups, bindings } = site;
    const outer = [...groups.batch, ...groups.rows.slice(0, -1), ...groups.columns.slice(0, -1)];
    const panelBlocks = ceilDivide(sizes.panels, choice.taskPanels);
    const rowBlocks = Math.ceil(this.rowExtent / choice.taskRows);
    const tasks = [...outer, axis('columnBlock', panelBlocks), axis('rowBlock', rowBlocks)];
    const grid = writeTasks(b, tasks, 1, bindings, () => {
      const firstPanel = multiply(this.bound('columnBlock'), choice.taskPanels);
      const start = multiply(this.bound('rowBlock'), choice.taskRows);
      const end = minimum(add(start, choice.taskRows), this.rowExtent);
      const tall = choice.rowTiles * choice.unit.m;
      this.writeTask({
        start,
        end,
        groups: ceilDivide(subtract(end, start), tall),
        firstPanel,
        lastPanel: minimum(add(firstPanel, choice.taskPanels), sizes.panels),
      });
    });
    const { unit } = choice;
    return site.frame.finish(site.names, { lanes: unit.n, group: 1, grid });
  }

  private bound(name: string): Expression {
    return this.site.bindings.get(name) as Expression;
  }

  private writeTask(task: Omit<Block, StepsOfBlock>): void {
    if (this.choice.exact) this.eachBlock((block) => this.packRows(block, undefined), task);
    else this.writeChecked(task);
  }

  private eachBlock(
    pack: (block: Block) => Value | undefined,
    task: Omit<Block, StepsOfBlock>,
  ): void {
    const { b, choice, sizes } = this;
    b.for(0, sizes.steps, choice.blockSteps, (firstStep) => {
      const lastStep = minimum(add(firstStep, choice.blockSteps), sizes.steps);
      const block: Block = { ...task, firstStep, lastStep };
      const fits = pack(block);
      if (fits === undefined) this.multiplyBlock(block);
      else b.if(fits, () => this.multiplyBlock(block));
    });
  }

  /** The unit's code while ranges fit; where they do not, the plain code does all of the task. */
  private writeChecked(task: Omit<Block, StepsOfBlock>): void {
    const { b, choice, sizes } = this;
    const zero = b.literal('u32', 0);
    const right = this.rightRange(task);
    const fits = b.variable(b.literal('u32', 1));
    this.eachBlock((block) => {
      const range = new RangeOf(b, [choice.unit.k]);
      this.packRows(block, range);
      const depth = sizes.depth.extent as number;
      const good = rangesFit(b, range.ends(), right, choice.splits, depth);
      b.assign(fits, b.select(good, b.read(fits), zero));
      return b.notEqual(b.read(fits), zero);
    }, task);
    b.if(b.equal(b.read(fits), zero), () => this.writePlain(task));
  }

  /** The task by plain code, from the panels where they are all that is left of the operand. */
  private writePlain({ start, end, firstPanel, lastPanel }: Omit<Block, StepsOfBlock>): void {
    const { choice, sizes, site, plain, words } = this;
    if (words === undefined) {
      writePlainTiles(site, plain, [start, end], [firstPanel, lastPanel]);
      return;
    }
    const tiles = (panel: Expression): Expression => multiply(panel, choice.columnTiles);
    const columns = site.groups.columns.at(-1)?.extent ?? 1;
    const last = minimum(tiles(lastPanel), ceilDivide(columns, choice.unit.n));
    writePlainTiles(site, plain, [start, end], [tiles(firstPanel), last], (column) =>
      elementsOfPanels(site, sizes, choice, words, column),
    );
  }

  /** The range of the right operand's elements in the task's panels. */
  private rightRange(task: Omit<Block, StepsOfBlock>): readonly [Value, Value] {
    const { b, sizes, site } = this;
    const position = outerPosition(sizes.outer, site.bindings);
    const first = floorDivide(task.firstPanel, panelsPerBlock);
    const end = ceilDivide(task.lastPanel, panelsPerBlock);
    return mergeRanges(b, this.ranges as string, (take) => {
      b.for(first, end, 1, (block) => {
        b.for(0, sizes.steps, 1, (step) => {
          const row = add(multiply(position, sizes.panelBlocks), block);
          take(add(multiply(row, sizes.steps), step));
        });
      });
    });
  }

  /** First element of a tile of the packed rows. */
  private leftTile(block: Block, tile: Expression, step: Expression, part: number): Expression {
    const { choice, sizes } = this;
    const { unit, parts } = choice;
    const blocks = Math.min(choice.blockSteps, sizes.steps);
    const place = add(multiply(tile, blocks), subtract(step, block.firstStep));
    return multiply(add(multiply(place, parts), part), unit.m * unit.k);
  }

  /** Packs the block's rows, zeros beyond the edges; `range` takes in all elements. */
  private packRows(block: Block, range: RangeOf | undefined): undefined {
    const { b, choice } = this;
    const { unit } = choice;
    b.for(0, multiply(block.groups, choice.rowTiles * unit.m), 1, (line) => {
      const row = add(block.start, line);
      const tile = floorDivide(line, unit.m);
      const within = multiply(subtract(line, multiply(tile, unit.m)), unit.k);
      b.for(block.firstStep, block.lastStep, 1, (step) => {
        const store = (part: number, bits: Value): void => {
          const address = add(this.leftTile(block, tile, step, part), within);
          b.store({ buffer: this.packed, address, strides: [1] }, bits);
        };
        const inside = (): void => {
          const value = this.leftElements(row, step);
          if (choice.exact) {
            store(0, b.convert(value, this.leftBits));
            return;
          }
          range?.take(value);
          const split = choice.splits ? splitParts(b, value, choice.parts) : [value];
          split.forEach((part, i) => {
            store(i, highHalf(b, part));
          });
        };
        const beyond = (): void => {
          const nothing = b.broadcast(b.literal(this.leftBits, 0), [unit.k]);
          for (let part = 0; part < choice.parts; part++) store(part, nothing);
        };
        const whole = this.rowExtent % (choice.rowTiles * unit.m) === 0;
        if (whole) inside();
        else b.if(lessThan(row, this.rowExtent), inside, beyond);
      });
    });
  }

  /** One row's elements at one step of the depth, zero beyond its end. */
  private leftElements(row: Expression, step: Expression): Value {
    const { b, choice, sizes, site } = this;
    const { plan, groups } = site;
    const count = choice.unit.k;
    const extent = sizes.depth.extent as number;
    const first = multiply(step, count);
    const lanes: TileAxis = { name: laneName, count };
    const axis = extent % count === 0 ? lanes : { ...lanes, tail: subtract(extent, first) };
    const bounds = [
      { axis: groups.rows.at(-1)?.name, value: row },
      { axis: sizes.depth.name, value: add(first, variable(laneName, count)) },
    ];
    const values = new ValueLowering(placeIn(site, [axis], bounds));
    const value = values.value(plan.left.node, plan.left.index);
    const mask = values.tailMask();
    const zero = b.literal(value.type.dtype, 0);
    return b.broadcast(mask === undefined ? value : b.select(mask, value, zero), [count]);
  }

  private multiplyBlock(block: Block): void {
    const { b, choice } = this;
    const panels = (inner: (panel: Expression) => void): void =>
      b.for(block.firstPanel, block.lastPanel, 1, inner);
    const groups = (inner: (group: Expression) => void): void => b.for(0, block.groups, 1, inner);
    if (choice.panelsInside) {
      groups((group) => panels((panel) => this.multiplyTiles(block, panel, group)));
    } else panels((panel) => groups((group) => this.multiplyTiles(block, panel, group)));
  }

  private multiplyTiles(block: Block, panel: Expression, group: Expression): void {
    const { b, choice, sizes } = this;
    const { unit, rowTiles, columnTiles } = choice;
    const type = { dtype: this.type, shape: [unit.m, unit.n] };
    const zero = b.broadcast(b.literal(this.type, 0), type.shape);
    const sums = Array.from({ length: rowTiles * columnTiles }, () => b.variable(zero, type));
    const between = (tile: number) => this.sumPlace(block, panel, group, tile);
    if (this.sums !== undefined) {
      b.if(lessThan(0, block.firstStep), () => {
        sums.forEach((sum, tile) => {
          b.assign(sum, b.load(type, between(tile), { volatile: true }));
        });
      });
    }
    b.for(block.firstStep, block.lastStep, 1, (step) => this.step(block, panel, group, step, sums));
    const finish = (): void => {
      const row = add(block.start, multiply(group, rowTiles * unit.m));
      this.store.write(row, multiply(panel, sizes.panelColumns), sums);
    };
    if (this.sums === undefined) {
      finish();
      return;
    }
    b.if(equalTo(block.lastStep, sizes.steps), finish, () => {
      sums.forEach((sum, tile) => {
        b.store(between(tile), b.read(sum));
      });
    });
  }

  private sumPlace(block: Block, panel: Expression, group: Expression, tile: number) {
    const { choice, sizes } = this;
    const { unit, rowTiles, columnTiles, taskRows } = choice;
    const column = multiply(subtract(panel, block.firstPanel), sizes.panelColumns * taskRows);
    const pair = multiply(group, rowTiles * columnTiles * unit.m * unit.n);
    const address = add(column, pair, tile * unit.m * unit.n);
    return { buffer: this.sums as string, address, strides: [unit.n, 1] };
  }

  /** One step of the depth: products of parts, each operand loaded when its part changes. */
  private step(
    block: Block,
    panel: Expression,
    group: Expression,
    step: Expression,
    sums: readonly Variable[],
  ): void {
    const { b, choice, sizes, site } = this;
    const { unit, rowTiles, columnTiles } = choice;
    const side = unit.interleave;
    const leftOf = (part: number): readonly Value[] =>
      Array.from({ length: rowTiles }, (_, tile) => {
        const at = add(multiply(group, rowTiles), tile);
        const address = this.leftTile(block, at, step, part);
        const access = { buffer: this.packed, address, strides: [unit.k, 1] };
        return b.load({ dtype: this.leftBits, shape: [unit.m, unit.k] }, access, {
          volatile: true,
        });
      });
    const rightOf = (part: number): readonly Value[] =>
      Array.from({ length: columnTiles }, (_, tile) => {
        const at = { panel, step, part, tile };
        const number = rightTileNumber(sizes, choice, site.bindings, at);
        const address = multiply(number, sizes.tileElements);
        const access = { buffer: this.panels, address, strides: [unit.n * side, 1] };
        const dtype = bitsOf(unit.right);
        const type = { dtype, shape: [unit.k / side, unit.n * side] };
        return b.load(type, access, { volatile: true });
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

  private get leftBits(): 'i32' | 'u32' {
    return bitsOf(this.choice.unit.left);
  }
}
