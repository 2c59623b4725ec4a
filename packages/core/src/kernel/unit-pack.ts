/**
 * The right operand of a matrix unit, laid out once: [outer, panel, step of the depth, part, tile]
 * with each tile as memory holds it for the unit, zeros beyond the edges; and the range of its
 * elements by [outer, block of panels, step].
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  lessThan,
  minimum,
  modulo,
  multiply,
  product,
  type Size,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import { type Axis, axis } from './axes.js';
import type { Value } from './builder.js';
import { type ContractPlan, extentOf, type MergedGroups } from './contract-plan.js';
import { type ContractSite, placeIn } from './contract-store.js';
import type { UnitChoice } from './contract-unit.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import { lineBytes } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { joinBits, joinHalves, joinRows, RangeOf, splitBits, splitParts } from './unit-operand.js';
import { ValueLowering } from './value.js';

/** Panels whose ranges are kept together: a task reads long rows of them. */
export const panelsPerBlock = 16;

/** Sizes of a contraction in tiles of a unit. */
export interface UnitSizes {
  readonly outer: readonly Axis[];
  readonly depth: Axis;
  readonly steps: number;
  readonly panelColumns: number;
  readonly panels: Size;
  readonly panelBlocks: Size;
  /** Elements of one tile. */
  readonly tileElements: number;
}

export function unitSizes(groups: MergedGroups, choice: UnitChoice): UnitSizes {
  const { unit, columnTiles } = choice;
  const depth = groups.depth[0] as Axis;
  const panelColumns = columnTiles * unit.n;
  const panels = ceilDivide(groups.columns.at(-1)?.extent ?? 1, panelColumns);
  return {
    outer: [...groups.batch, ...groups.columns.slice(0, -1)],
    depth,
    steps: Math.ceil((depth.extent as number) / unit.k),
    panelColumns,
    panels,
    panelBlocks: ceilDivide(panels, panelsPerBlock),
    tileElements: unit.k * unit.n,
  };
}

/** Position among the outer axes. */
export function outerPosition(outer: readonly Axis[], bindings: Bindings): Expression {
  let position: Expression = 0;
  for (const axis of outer) {
    position = add(multiply(position, axis.extent), bindings.get(axis.name) ?? 0);
  }
  return position;
}

/** Number of a tile of the right operand's panels. */
export function rightTileNumber(
  sizes: UnitSizes,
  choice: UnitChoice,
  bindings: Bindings,
  at: {
    readonly panel: Expression;
    readonly step: Expression;
    readonly part: number;
    readonly tile: Expression;
  },
): Expression {
  const position = outerPosition(sizes.outer, bindings);
  const panel = add(multiply(position, sizes.panels), at.panel);
  const part = add(multiply(add(multiply(panel, sizes.steps), at.step), choice.parts), at.part);
  return add(multiply(part, choice.columnTiles), at.tile);
}

export interface UnitPanels {
  readonly kernel: LoweredKernel;
  readonly panels: Workspace;
  /** Absent where integers need none. */
  readonly ranges: Workspace | undefined;
  /** Whether plain code reads the panels, so that the operand itself need not be kept. */
  readonly isOnlyCopy: boolean;
}

export function writeUnitPack(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  choice: UnitChoice,
  constant: boolean,
): UnitPanels {
  const sizes = unitSizes(groups, choice);
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { unit } = choice;
  const outerCount = product(sizes.outer.map((axis) => axis.extent));
  const tiles = multiply(outerCount, sizes.panels, sizes.steps, choice.parts, choice.columnTiles);
  const bytes = multiply(tiles, sizes.tileElements, bytesOf(unit.right));
  const panels: Workspace = { kind: 'workspace', id: 0, bytes, constant };
  const words = multiply(2, outerCount, sizes.panelBlocks, sizes.steps);
  const ranges: Workspace | undefined = choice.exact
    ? undefined
    : { kind: 'workspace', id: 1, bytes: multiply(4, words), constant };
  const to = frame.workspace(panels, 'u32', 'write');
  const rangeTo = ranges === undefined ? undefined : frame.workspace(ranges, 'u32', 'write');
  const bindings = new Bindings();
  const site: ContractSite = { plan, groups, frame, names, bindings, outputs: [] };
  const tasks = [
    ...sizes.outer,
    axis('panelBlock', sizes.panelBlocks),
    axis('unitStep', sizes.steps),
  ];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const block = bindings.get('panelBlock') as Expression;
    const step = bindings.get('unitStep') as Expression;
    const range = rangeTo === undefined ? undefined : new RangeOf(b, [unit.n]);
    const first = multiply(block, panelsPerBlock);
    const end = minimum(add(first, panelsPerBlock), sizes.panels);
    const panels = (inner: (panel: Expression) => void): void => b.for(first, end, 1, inner);
    const lines = (inner: (line: Expression) => void): void =>
      b.for(0, unit.k / unit.interleave, 1, inner);
    const pack = (panel: Expression, line: Expression): void => {
      const depth = add(multiply(step, unit.k), multiply(line, unit.interleave));
      for (let tile = 0; tile < choice.columnTiles; tile++) {
        const column = add(multiply(panel, sizes.panelColumns), tile * unit.n);
        const rows = Array.from({ length: unit.interleave }, (_, r) =>
          elementsAt(site, sizes, add(depth, r), column, unit.n, unit.k),
        );
        for (const row of rows) range?.take(row);
        storeWords(rows, (part, word) => {
          const number = rightTileNumber(sizes, choice, bindings, { panel, step, part, tile });
          const address = add(
            multiply(number, sizes.tileElements / unit.interleave),
            multiply(line, unit.n),
          );
          b.store({ buffer: to, address, strides: [1] }, word);
        });
      }
    };
    // Panel by panel they are written side by side; where rows of them are less than lines, those
    // are read once only along all panels.
    if (sizes.panelColumns * bytesOf(plan.right.node.dtype) >= lineBytes) {
      panels((panel) => lines((line) => pack(panel, line)));
    } else lines((line) => panels((panel) => pack(panel, line)));
    if (range === undefined || rangeTo === undefined) return;
    const position = add(multiply(outerPosition(sizes.outer, bindings), sizes.panelBlocks), block);
    const at = multiply(2, add(multiply(position, sizes.steps), step));
    const [least, greatest] = range.ends();
    b.store({ buffer: rangeTo, address: at, strides: [] }, least);
    b.store({ buffer: rangeTo, address: add(at, 1), strides: [] }, greatest);
  });

  /** Rows of the depth side by side as words, part by part. */
  function storeWords(rows: readonly Value[], store: (part: number, word: Value) => void): void {
    if (choice.exact) {
      store(0, joinRows(b, rows));
      return;
    }
    const split = rows.map((row) => {
      if (!choice.splits) return [b.bitcast(row, 'u32')];
      // Of a constant there is no other copy.
      if (constant) return splitBits(b, row, choice.parts);
      return splitParts(b, row, choice.parts).map((part) => b.bitcast(part, 'u32'));
    });
    for (let part = 0; part < choice.parts; part++) {
      const [low, high] = split.map((parts) => parts[part] as Value) as [Value, Value];
      store(part, joinHalves(b, low, high));
    }
  }

  const packNames = { ...names, name: `${names.name}_pack` };
  const depthBytes = multiply(bytesOf(plan.right.node.dtype), outerCount, extentOf(groups.depth));
  const cost = { flops: 0, bytes: add(bytes, multiply(depthBytes, sizes.panels, unit.n)) };
  const shape = { lanes: unit.n, group: 1, grid };
  const kernel = frame.finish(packNames, shape, { once: constant, cost });
  return { kernel, panels, ranges, isOnlyCopy: constant && panelsAreExact(choice) };
}

/** Whether the panels alone say what every element is, so that nothing else need be kept. */
const panelsAreExact = (choice: UnitChoice): boolean =>
  !choice.exact && (choice.parts === 3 || !choice.splits);

/**
 * Elements [1, unit.n] of the right operand out of panels that are exact: those at the bound
 * depth, of a column of tiles. `words`: the panels as u32.
 */
export function elementsOfPanels(
  site: ContractSite,
  sizes: UnitSizes,
  choice: UnitChoice,
  words: string,
  column: Expression,
): Value {
  const { bindings, frame } = site;
  const { unit, columnTiles, parts } = choice;
  const b = frame.builder;
  const depth = bindings.get(sizes.depth.name) ?? 0;
  const step = floorDivide(depth, unit.k);
  const line = floorDivide(modulo(depth, unit.k), unit.interleave);
  const panel = floorDivide(column, columnTiles);
  const tile = modulo(column, columnTiles);
  const isHigh = b.scalar(modulo(depth, unit.interleave));
  const shift = b.select(
    b.notEqual(isHigh, b.scalar(0)),
    b.literal('u32', 0),
    b.literal('u32', 16),
  );
  const read = Array.from({ length: parts }, (_, part) => {
    const number = rightTileNumber(sizes, choice, bindings, { panel, step, part, tile });
    const address = add(
      multiply(number, sizes.tileElements / unit.interleave),
      multiply(line, unit.n),
    );
    const access = { buffer: words, address, strides: [0, 1] };
    const word = b.load({ dtype: 'u32', shape: [1, unit.n] }, access);
    return b.and(b.binary('shiftLeft', word, shift), b.literal('u32', 0xffff0000));
  });
  return joinBits(b, read);
}

/** Elements of the right operand at one depth and `count` columns, zero beyond the edges. */
export function elementsAt(
  site: ContractSite,
  sizes: Pick<UnitSizes, 'depth' | 'panelColumns'>,
  depth: Expression,
  column: Expression,
  count: number,
  unitDepth: number,
): Value {
  const { plan, groups, frame } = site;
  const b = frame.builder;
  const columns = groups.columns.at(-1)?.extent ?? 1;
  const isWhole = typeof columns === 'number' && columns % sizes.panelColumns === 0;
  const lanes: TileAxis = { name: laneName, count };
  const axis = isWhole ? lanes : { ...lanes, tail: subtract(columns, column) };
  const bounds = [
    { axis: groups.columns.at(-1)?.name, value: add(column, variable(laneName, count)) },
    { axis: sizes.depth.name, value: depth },
  ];
  const values = new ValueLowering(placeIn(site, [axis], bounds));
  const extent = sizes.depth.extent as number;
  const inside = extent % unitDepth === 0;
  const guard = inside ? undefined : b.notEqual(b.scalar(lessThan(depth, extent)), b.scalar(0));
  const value = values.value(plan.right.node, plan.right.index, guard);
  const zero = b.literal(value.type.dtype, 0);
  const mask = values.tailMask();
  const edged = mask === undefined ? value : b.select(mask, value, zero);
  const filled = guard === undefined ? edged : b.select(guard, edged, zero);
  return b.broadcast(filled, [count]);
}
