/**
 * The contraction on a matrix unit: a task packs blocks of its rows into memory of its own, walks
 * the right operand's panels over them (unit-walk.ts), and takes the plain code where the range of
 * what was packed says that the unit would not be right.
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  lessThan,
  minimum,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { writePlainTiles } from './contract-register.js';
import { type ContractSite, placeIn } from './contract-store.js';
import type { UnitChoice } from './contract-unit.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import type { RegisterTile } from './register-tile.js';
import { bytesAhead } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { highHalf, mergeRanges, RangeOf, rangesFit, splitParts } from './unit-operand.js';
import {
  elementsOfPanels,
  outerPosition,
  panelsPerBlock,
  type UnitPanels,
  type UnitSizes,
  unitSizes,
} from './unit-pack.js';
import { bitsOf, leftTile, type UnitBlock, UnitWalk } from './unit-walk.js';
import { ValueLowering } from './value.js';

/** A task: all of its groups of rows and of the depth. */
type Task = Omit<UnitBlock, 'firstGroup' | 'firstStep' | 'lastStep'>;

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
  private readonly walk: UnitWalk;
  private readonly rowExtent: number;

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
    const { unit } = choice;
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
    this.walk = new UnitWalk(this.site, choice, this.sizes, this.panels);
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

  private writeTask(task: Task): void {
    if (this.choice.exact) this.eachBlock((block) => this.packRows(block, undefined), task);
    else this.writeChecked(task);
  }

  /**
   * Packs and multiplies block by block. Where panels walk inside, rows are packed as they are
   * needed, group by group: what is stored before a later group does not fit, plain code writes
   * again, since a contraction's output is never an operand's memory.
   */
  private eachBlock(pack: (block: UnitBlock) => Value | undefined, task: Task): void {
    const { b, choice, sizes, walk } = this;
    const once = (block: UnitBlock): void => {
      const fits = pack(block);
      if (fits === undefined) walk.multiply(block);
      else b.if(fits, () => walk.multiply(block));
    };
    b.for(0, sizes.steps, choice.blockSteps, (firstStep) => {
      const lastStep = minimum(add(firstStep, choice.blockSteps), sizes.steps);
      const block: UnitBlock = { ...task, firstGroup: 0, firstStep, lastStep };
      if (!choice.panelsInside) {
        once(block);
        return;
      }
      b.for(0, task.groups, 1, (firstGroup) => {
        const start = add(task.start, multiply(firstGroup, choice.rowTiles * choice.unit.m));
        once({ ...block, start, firstGroup, groups: 1 });
      });
    });
  }

  /** The unit's code while ranges fit; where they do not, the plain code does all of the task. */
  private writeChecked(task: Task): void {
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
  private writePlain({ start, end, firstPanel, lastPanel }: Task): void {
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
  private rightRange(task: Task): readonly [Value, Value] {
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

  /** Packs the block's rows, zeros beyond the edges; `range` takes in all elements. */
  private packRows(block: UnitBlock, range: RangeOf | undefined): undefined {
    const { b, choice, sizes, walk } = this;
    const { unit } = choice;
    b.for(0, multiply(block.groups, choice.rowTiles * unit.m), 1, (line) => {
      const row = add(block.start, line);
      const tile = floorDivide(line, unit.m);
      const within = multiply(subtract(line, multiply(tile, unit.m)), unit.k);
      b.for(block.firstStep, block.lastStep, 1, (step) => {
        const store = (part: number, bits: Value): void => {
          const address = add(leftTile(choice, sizes, block, { tile, step, part }), within);
          b.store({ buffer: walk.packed, address, strides: [1] }, bits);
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
    // A part of the depth of one row is followed by that of the next one.
    const isPart = choice.blockSteps < sizes.steps;
    const ahead = isPart ? extent * bytesOf(plan.left.node.dtype) : bytesAhead;
    const values = new ValueLowering({ ...placeIn(site, [axis], bounds), ahead });
    const value = values.value(plan.left.node, plan.left.index);
    const mask = values.tailMask();
    const zero = b.literal(value.type.dtype, 0);
    return b.broadcast(mask === undefined ? value : b.select(mask, value, zero), [count]);
  }

  private get leftBits(): 'i32' | 'u32' {
    return bitsOf(this.choice.unit.left);
  }
}
