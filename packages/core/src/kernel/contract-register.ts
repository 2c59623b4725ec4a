/**
 * The register-tile kernel for vector targets: a block of columns and a block of rows per task; a
 * tile of accumulators walks the whole depth, then the epilogue runs on it and is stored.
 */
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  lessThan,
  minimum,
  multiply,
  provablyAtLeast,
  type Size,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { type TaskBlocks, taskBlocks } from './contract-blocks.js';
import { panelAddress, panelType } from './contract-pack.js';
import { panelsOf } from './contract-panels.js';
import { type ContractPlan, extentOf, type MergedGroups } from './contract-plan.js';
import {
  type Bound,
  type ContractSite,
  placeIn,
  replacementAt,
  storeContracted,
} from './contract-store.js';
import { copiesOfStep, walkDepth } from './depth-walk.js';
import { computeType, lowerCast, rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { LeftBlock } from './left-block.js';
import { dividesBy, type LeftPanels } from './left-pack.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import { hintsOf, type PanelWalk, requestsOf } from './panel-hints.js';
import type { Hints, Operands, RightElements, WordOperands } from './register-operands.js';
import type { RegisterTile } from './register-tile.js';
import { writeRowTiles } from './row-tiles.js';
import { eachRow } from './tile-epilogue.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';

const rowName = 'row';
const depthName = 'step';

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
  private blocks: TaskBlocks | undefined;
  private block: LeftBlock | undefined;
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
    const blocks = taskBlocks(this.frame.target, tile, {
      rows: this.rowExtent,
      panels: panelCount,
      depth: this.words?.steps ?? extentOf(this.plan.groups.depth),
      outer: extentOf(outer),
      isPacked: this.panels !== undefined || this.words !== undefined,
      bytes: this.frame.target.vectorBytes > 0 ? this.frame.target.vectorBytes / tile.lanes : 4,
    });
    this.blocks = blocks;
    const isPlain = this.left === undefined && this.words === undefined;
    this.block = isPlain ? LeftBlock.of(this, tile, blocks) : undefined;
    const tasks = [
      ...outer,
      axis('rowBlock', ceilDivide(this.rowExtent, blocks.rows)),
      axis('columnBlock', ceilDivide(panelCount, blocks.panels)),
    ];
    const grid = writeTasks(b, tasks, 1, this.bindings, () => {
      const firstPanel = multiply(this.bound('columnBlock'), blocks.panels);
      const lastPanel = minimum(add(firstPanel, blocks.panels), panelCount);
      const start = multiply(this.bound('rowBlock'), blocks.rows);
      const end = minimum(add(start, blocks.rows), this.rowExtent);
      this.block?.copy(start, end);
      const { group } = blocks;
      if (group >= blocks.panels) this.walk([start, end], [firstPanel, lastPanel]);
      else {
        b.for(firstPanel, lastPanel, group, (panel) => {
          this.walk([start, end], [panel, minimum(add(panel, group), lastPanel)]);
        });
      }
    });
    return this.frame.finish(this.names, { lanes: tile.lanes, group: 1, grid });
  }

  private bound(name: string): Expression {
    return this.bindings.get(name) as Expression;
  }

  private walkRows(
    start: Expression,
    end: Expression,
    body: (row: Expression, height: number) => void,
  ): void {
    const rows = { total: this.rowExtent, tile: this.tile.rows, packed: this.left !== undefined };
    writeRowTiles(this.builder, rows, [start, end], body);
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
    const { builder: b, tile, plan, words } = this;
    const dtype = computeType(plan.node.attributes.accumulate);
    const type = { dtype, shape: [height, tile.columns] };
    if (words !== undefined) {
      const sums = b.variable(b.broadcast(words.initial(panel), type.shape), type);
      const hintsAt = this.hints(this.panelWalk(row, words.address(panel), words.steps), false);
      b.for(0, words.steps, 1, (step) => {
        const [a, c] = [words.left(row, height, step), words.right(panel, step, hintsAt(step))];
        b.assign(sums, b.dot(a, c, b.read(sums), words.unit));
      });
      return sums;
    }
    const zero = b.broadcast(b.literal(dtype, 0), type.shape);
    const accumulator = b.variable(zero, type);
    const base =
      this.panels === undefined ? 0 : panelAddress(plan, this.groups, tile, this.bindings, panel);
    const leftBase = this.left?.address(this.bindings, floorDivide(row, tile.rows));
    const steps = extentOf(plan.groups.depth);
    const walk = this.panelWalk(row, base, steps);
    const { depth } = this.groups;
    const requests = depth.length === 1 ? requestsOf(walk, this.panels) : undefined;
    const hintsAt = this.hints(walk, requests !== undefined);
    walkDepth(b, depth, this.bindings, copiesOfStep(this.frame.target), requests, () => {
      const a = this.leftTile(row, height, leftBase);
      const c = this.rightTile(panel, base, tail, hintsAt);
      b.assign(accumulator, b.dot(a, c, b.read(accumulator)));
    });
    return accumulator;
  }

  /** What is asked for; nothing where no panel is packed. */
  private hints(walk: PanelWalk, isAsked: boolean): (at: Expression) => Hints {
    const isPacked = this.panels !== undefined || this.words !== undefined;
    return isPacked ? hintsOf(walk, isAsked) : () => ({});
  }

  private panelWalk(row: Expression, base: Expression, steps: Size): PanelWalk {
    const { builder, frame, tile, blocks } = this;
    return { builder, target: frame.target, tile, blocks, row, base, steps };
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
    const flat = this.position();
    if (this.block !== undefined) return this.block.elements(row, height, flat);
    if (this.leftBuffer !== undefined && base !== undefined) {
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

  /** Position along the depth, over the bound axes. */
  private position(): Expression {
    return substitute(this.plan.depth, (name) => this.replacement(name, []));
  }

  private rightTile(
    panel: Expression,
    base: Expression,
    tail: Expression | undefined,
    hintsAt: (at: Expression) => Hints,
  ): Value {
    const { builder: b, tile, plan } = this;
    if (this.right !== undefined) return this.right(panel);
    if (this.panels !== undefined) {
      const at = this.position();
      const address = add(base, multiply(at, tile.columns));
      const dtype = rawType(panelType(plan));
      const access = { buffer: this.panels, address, strides: [0, 1], ...hintsAt(at) };
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
