/**
 * The register-tile kernel for vector targets: a block of columns and a block of rows per task; a
 * tile of accumulators walks the whole depth, then the epilogue runs on it and is stored.
 */
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  floorDivide,
  lessThan,
  minimum,
  modulo,
  multiply,
  provablyAtLeast,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { panelAddress, panelType } from './contract-pack.js';
import { panelBudget, panelsOf } from './contract-panels.js';
import { type ContractPlan, extentOf, type MergedGroups } from './contract-plan.js';
import {
  type Bound,
  type ContractSite,
  placeIn,
  replacementAt,
  storeContracted,
} from './contract-store.js';
import { computeType, lowerCast, rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { dividesBy, type LeftPanels } from './left-pack.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import type { Operands, RightElements, WordOperands } from './register-operands.js';
import { fewTiles, isOneTile, type RegisterTile } from './register-tile.js';
import { eachRow } from './tile-epilogue.js';
import { type Place, type TileAxis, ValueLowering } from './value.js';

const rowName = 'row';
const depthName = 'step';

/** Tasks per core that even out the end of a launch. */
const tasksPerCore = 4;

export function writeRegisterContract(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  tile: RegisterTile,
  panels: Workspace | undefined,
  left: LeftPanels | undefined,
): LoweredKernel {
  const frame = new KernelFrame(plan.step, target);
  const bindings = new Bindings();
  const site = { plan, groups, names, frame, bindings };
  const given = frame.workspaceOf(panels, panelType(plan));
  const leftBuffer = frame.workspaceOf(left?.workspace, panelType(plan));
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  return new RegisterWriter({ ...site, outputs }, tile, {
    panels: given,
    left,
    leftBuffer,
  }).write();
}

/** As writeRegisterContract, from words. */
export function writeWordContract(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  tile: RegisterTile,
  operands: (site: Omit<ContractSite, 'outputs'>) => WordOperands,
): LoweredKernel {
  const frame = new KernelFrame(plan.step, target);
  const site = { plan, groups, names, frame, bindings: new Bindings() };
  const words = operands(site);
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  return new RegisterWriter({ ...site, outputs }, tile, { words }).write();
}

/**
 * Writes the tiles of some rows and columns, from operands in place: no packing. `right` is where
 * the right operand lies elsewhere.
 */
export function writePlainTiles(
  site: ContractSite,
  tile: RegisterTile,
  rows: readonly [Expression, Expression],
  panels: readonly [Expression, Expression],
  right?: RightElements,
): void {
  new RegisterWriter(site, tile, { right }).walk(rows, panels);
}

class RegisterWriter implements ContractSite {
  readonly plan: ContractPlan;
  readonly groups: MergedGroups;
  readonly names: KernelNames;
  readonly frame: KernelFrame;
  readonly bindings: Bindings;
  readonly outputs: readonly string[];
  private readonly tile: RegisterTile;
  private readonly builder: KernelBuilder;
  private readonly panels: string | undefined;
  private readonly left: LeftPanels | undefined;
  private readonly leftBuffer: string | undefined;
  private readonly right: RightElements | undefined;
  private readonly words: WordOperands | undefined;
  private readonly rowExtent: Expression;
  private readonly columnExtent: Expression;

  constructor(
    site: ContractSite,
    tile: RegisterTile,
    { panels, left, leftBuffer, right, words }: Operands,
  ) {
    this.plan = site.plan;
    this.groups = site.groups;
    this.names = site.names;
    this.frame = site.frame;
    this.bindings = site.bindings;
    this.outputs = site.outputs;
    this.tile = tile;
    this.builder = this.frame.builder;
    this.panels = panels;
    this.left = left;
    this.leftBuffer = leftBuffer;
    this.right = right;
    this.words = words;
    this.rowExtent = this.groups.rows.at(-1)?.extent ?? 1;
    this.columnExtent = this.groups.columns.at(-1)?.extent ?? 1;
  }

  /** Tiles of rows [start, end) by panels [first, last). */
  walk(
    [start, end]: readonly [Expression, Expression],
    [first, last]: readonly [Expression, Expression],
  ): void {
    this.walkRows(start, end, (row, height) => {
      this.builder.for(first, last, 1, (panel) => this.writeTile(row, height, panel));
    });
  }

  write(): LoweredKernel {
    const { builder: b, groups, tile } = this;
    const outer = [...groups.batch, ...groups.rows.slice(0, -1), ...groups.columns.slice(0, -1)];
    const panelCount = panelsOf(groups.columns.at(-1), tile.columns);
    const panelsPerTask = isOneTile(this.rowExtent, tile) ? 1 : this.panelsPerTask(panelCount);
    const blocks = ceilDivide(panelCount, panelsPerTask);
    const rowsPerTask = this.rowsPerTask(blocks);
    const rowBlocks = ceilDivide(this.rowExtent, rowsPerTask);
    const tasks = [...outer, axis('columnBlock', blocks), axis('rowBlock', rowBlocks)];
    const grid = writeTasks(b, tasks, 1, this.bindings, () => {
      const firstPanel = multiply(this.bound('columnBlock'), panelsPerTask);
      const lastPanel = minimum(add(firstPanel, panelsPerTask), panelCount);
      const start = multiply(this.bound('rowBlock'), rowsPerTask);
      const end = minimum(add(start, rowsPerTask), this.rowExtent);
      this.walk([start, end], [firstPanel, lastPanel]);
    });
    return this.frame.finish(this.names, { lanes: tile.lanes, group: 1, grid });
  }

  private bound(name: string): Expression {
    return this.bindings.get(name) as Expression;
  }

  private panelsPerTask(panelCount: Expression): number {
    const depth = this.words?.steps ?? extentOf(this.plan.groups.depth);
    const panelBytes = (typeof depth === 'number' ? depth : 512) * this.tile.columns * 4;
    const most = Math.max(1, Math.floor(panelBudget(this.frame.target) / Math.max(panelBytes, 1)));
    // Blocks of equal size: a last one of a few panels would read all rows again for them.
    return typeof panelCount === 'number' ? fewTiles(panelCount, most) : most;
  }

  /** Multiple of the tile's rows; fewer where there would not be enough tasks. */
  private rowsPerTask(blocks: Expression): number {
    const { rows } = this.tile;
    if (typeof this.rowExtent !== 'number') return rows * 8;
    const tiles = Math.ceil(this.rowExtent / rows);
    const others = typeof blocks === 'number' ? blocks : 4;
    const wanted = (tasksPerCore * this.frame.target.cores) / Math.max(others, 1);
    return rows * Math.max(1, Math.min(tiles, Math.ceil(tiles / wanted)));
  }

  /**
   * Tiles of rows. A packed left operand has zeros beyond the last row; otherwise a short tile is
   * its own code, in powers of two where its height is not known.
   */
  private walkRows(
    start: Expression,
    end: Expression,
    body: (row: Expression, height: number) => void,
  ): void {
    const { builder: b } = this;
    const { rows } = this.tile;
    const total = this.rowExtent;
    if (typeof total === 'number' || this.left !== undefined) {
      const packed = this.left !== undefined || dividesBy(total, rows);
      const short = packed || typeof total !== 'number' ? rows : total % rows;
      b.for(start, end, rows, (row) => {
        if (packed) body(row, rows);
        else if (typeof total === 'number' && total < rows) body(row, short);
        else {
          const last = lessThan(subtract(total, row), rows);
          b.if(
            last,
            () => body(row, short),
            () => body(row, rows),
          );
        }
      });
      return;
    }
    const count = subtract(end, start);
    const whole = multiply(floorDivide(count, rows), rows);
    const rest = modulo(count, rows);
    const middle = b.bind(add(start, whole));
    if (!equal(whole, 0)) b.for(start, middle, rows, (row) => body(row, rows));
    if (equal(rest, 0)) return;
    if (typeof rest === 'number') {
      body(middle, rest);
      return;
    }
    const left = b.bind(rest);
    for (let height = largestPower(rows - 1); height >= 1; height /= 2) {
      const before = subtract(left, modulo(left, multiply(2, height)));
      const wanted = modulo(floorDivide(left, height), 2);
      b.if(wanted, () => body(b.bind(add(middle, before)), height));
    }
  }

  private writeTile(row: Expression, height: number, panel: Expression): void {
    const { builder: b, tile } = this;
    const first = multiply(panel, tile.columns);
    const whole = typeof this.columnExtent === 'number' && this.columnExtent % tile.columns === 0;
    const tail = whole ? undefined : subtract(this.columnExtent, first);
    // Panels have zeros beyond the last column.
    if ([this.panels, this.right, this.words].some((each) => each !== undefined)) {
      const accumulators = this.accumulate(row, height, panel, undefined);
      this.store(accumulators, row, height, first, tail);
      return;
    }
    const write = (limit: Expression | undefined): void => {
      const accumulators = this.accumulate(row, height, panel, limit);
      this.store(accumulators, row, height, first, limit);
    };
    if (tail === undefined) write(undefined);
    else if (!provablyAtLeast(this.columnExtent, tile.columns)) write(tail);
    else
      b.if(
        lessThan(tail, tile.columns),
        () => write(tail),
        () => write(undefined),
      );
  }

  /** The accumulator tile [height, columns] after all of the depth. */
  private accumulate(
    row: Expression,
    height: number,
    panel: Expression,
    tail: Expression | undefined,
  ): Variable {
    const { builder: b, tile, plan } = this;
    const dtype = computeType(plan.node.attributes.accumulate);
    const type = { dtype, shape: [height, tile.columns] };
    const { words } = this;
    if (words !== undefined) {
      const sums = b.variable(b.broadcast(words.initial(panel), type.shape), type);
      b.for(0, words.steps, 1, (step) => {
        const [a, c] = [words.left(row, height, step), words.right(panel, step)];
        b.assign(sums, b.dot(a, c, b.read(sums), words.unit));
      });
      return sums;
    }
    const zero = b.broadcast(b.literal(dtype, 0), type.shape);
    const accumulator = b.variable(zero, type);
    const base =
      this.panels === undefined ? 0 : panelAddress(plan, this.groups, tile, this.bindings, panel);
    const leftBase = this.left?.address(this.bindings, floorDivide(row, tile.rows));
    writeLoops(b, this.groups.depth, this.bindings, () => {
      const a = this.leftTile(row, height, leftBase);
      const c = this.rightTile(panel, base, tail);
      b.assign(accumulator, b.dot(a, c, b.read(accumulator)));
    });
    return accumulator;
  }

  private operandPlace(tileAxes: readonly TileAxis[], lane: Bound): Place {
    return placeIn(this, tileAxes, [lane]);
  }

  private replacement(name: string, lanes: readonly Bound[]): Expression | undefined {
    return replacementAt(this, name, lanes);
  }

  private rowBound(row: Expression, height: number): Bound {
    const lane = height === 1 ? 0 : variable(rowName, height);
    return { axis: this.groups.rows.at(-1)?.name, value: add(row, lane) };
  }

  private columnBound(first: Expression): Bound {
    const lane = variable(laneName, this.tile.columns);
    return { axis: this.groups.columns.at(-1)?.name, value: add(first, lane) };
  }

  private leftTile(row: Expression, height: number, base: Expression | undefined): Value {
    const { builder: b, plan, tile } = this;
    if (this.leftBuffer !== undefined && base !== undefined) {
      const flat = substitute(plan.depth, (name) => this.replacement(name, []));
      const address = add(base, multiply(flat, tile.rows));
      const access = { buffer: this.leftBuffer, address, strides: [1, 0] };
      return b.load({ dtype: rawType(panelType(plan)), shape: [height, 1] }, access);
    }
    const axes = [
      { name: rowName, count: height },
      { name: depthName, count: 1 },
    ];
    const values = new ValueLowering(this.operandPlace(axes, this.rowBound(row, height)));
    return this.operand(values, this.plan.left.node, this.plan.left.index, [height, 1]);
  }

  private rightTile(panel: Expression, base: Expression, tail: Expression | undefined): Value {
    const { builder: b, tile, plan } = this;
    if (this.right !== undefined) return this.right(panel);
    if (this.panels !== undefined) {
      const flat = substitute(plan.depth, (name) => this.replacement(name, []));
      const address = add(base, multiply(flat, tile.columns));
      const dtype = rawType(panelType(plan));
      const access = { buffer: this.panels, address, strides: [0, 1] };
      return b.load({ dtype, shape: [1, tile.columns] }, access);
    }
    const lanes: TileAxis = { name: laneName, count: tile.columns };
    const axes = [{ name: depthName, count: 1 }, tail === undefined ? lanes : { ...lanes, tail }];
    const first = multiply(panel, tile.columns);
    const values = new ValueLowering(this.operandPlace(axes, this.columnBound(first)));
    return this.operand(values, plan.right.node, plan.right.index, [1, tile.columns]);
  }

  private operand(
    values: ValueLowering,
    node: Node,
    index: readonly Expression[],
    shape: readonly number[],
  ): Value {
    const { builder: b, plan } = this;
    const value = values.value(node, index);
    const { accumulate } = plan.node.attributes;
    const cast = lowerCast(b, this.frame.target, node.dtype, accumulate, false, value);
    return b.broadcast(cast, shape);
  }

  /** Applies what follows the contraction and stores; a plain whole tile goes at once. */
  private store(
    accumulator: Variable,
    row: Expression,
    height: number,
    first: Expression,
    tail: Expression | undefined,
  ): void {
    const { builder: b, plan, tile } = this;
    const lanes: TileAxis = { name: laneName, count: tile.columns };
    const columns = tail === undefined ? lanes : { ...lanes, tail };
    const plain = plan.roots.every(({ node }) => node.id === plan.node.id);
    const isWhole = this.left === undefined || dividesBy(this.rowExtent, tile.rows);
    if (height === 1 || (plain && tail === undefined && isWhole)) {
      const axes = [{ name: rowName, count: height }, columns];
      this.storeAll(b.read(accumulator), axes, [this.rowBound(row, height)], first);
      return;
    }
    const count = isWhole ? undefined : subtract(this.rowExtent, row);
    const axis = this.groups.rows.at(-1)?.name;
    eachRow(this.frame, accumulator, count, (r, content) =>
      this.storeAll(content, [columns], [{ axis, value: add(row, r) }], first),
    );
  }

  private storeAll(
    total: Value,
    axes: readonly TileAxis[],
    rows: readonly Bound[],
    first: Expression,
  ): void {
    storeContracted(this, total, axes, [...rows, this.columnBound(first)]);
  }
}

function largestPower(below: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(below, 1)));
}
