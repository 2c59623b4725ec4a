/**
 * Contractions of small integers where vectors multiply parts of words: bytes, four elements of the
 * depth in a word, unsigned ones of the left operand by signed ones of the right; or signed halves,
 * two in a word. A left operand of another range is moved into that of unsigned bytes, and the sums
 * begin with what that takes away: a · b = (a − low) · b + low · Σ b.
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  type Expression,
  multiply,
  product,
  type Size,
  variable,
} from '../base/expression.js';
import type { MatrixUnit, Target } from '../base/target.js';
import type { Axis } from './axes.js';
import type { Value } from './builder.js';
import { panelsOf } from './contract-panels.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { writeWordContract } from './contract-register.js';
import { type ContractSite, placeIn } from './contract-store.js';
import { rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { integerRange, type Range } from './integer-range.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import type { RegisterTile } from './register-tile.js';
import type { TileAxis } from './tile-limits.js';
import { joinRows } from './unit-operand.js';
import { elementsAt, outerPosition } from './unit-pack.js';
import { ValueLowering } from './value.js';

/** Elements of a packed row are a multiple of this, so that whole tiles are stored. */
const rowElements = 64;

const wordBytes = 4;

export interface ByteChoice {
  readonly unit: MatrixUnit;
  /** What is taken from elements of the left operand, so that they are unsigned bytes. */
  readonly low: number;
  readonly depth: Axis;
  readonly extent: number;
}

/** Undefined where the target has no such unit, ranges do not fit, or packing would not pay. */
export function chooseBytes(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  isConstant: boolean,
): ByteChoice | undefined {
  if (plan.node.attributes.accumulate !== 'i32') return undefined;
  const [depth] = groups.depth;
  const extent = depth?.extent;
  if (depth === undefined || groups.depth.length > 1) return undefined;
  if (typeof extent !== 'number' || extent < rowElements / 4) return undefined;
  const rows = groups.rows.at(-1)?.extent ?? 1;
  if (!isConstant && !(typeof rows === 'number' && rows >= 8)) return undefined;
  const [left, right] = [plan.left.node, plan.right.node].map((n) => integerRange(plan.step, n));
  if (left === undefined || right === undefined) return undefined;
  const words = target.matrixUnits.filter(
    ({ operands, accumulate }) => operands === 'register' && accumulate === 'i32',
  );
  for (const unit of words) {
    const low = lowestFor(unit, left, right);
    if (low !== undefined) return { unit, low, depth, extent };
  }
  return undefined;
}

/** What moves the left operand into the unit's range, 0 for nothing; undefined where none does. */
function lowestFor(unit: MatrixUnit, left: Range, right: Range): number | undefined {
  if (unit.left === 'i16' && unit.right === 'i16') {
    return [left, right].every(([from, to]) => from >= -(2 ** 15) && to < 2 ** 15) ? 0 : undefined;
  }
  if (unit.left !== 'u8' || unit.right !== 'i8') return undefined;
  if (right[0] < -128 || right[1] > 127 || left[1] - left[0] > 255) return undefined;
  return left[0] >= 0 && left[1] <= 255 ? 0 : left[0];
}

/** Packed operands, then the product. `constant`: which operands are constants. */
export function lowerBytes(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  tile: RegisterTile,
  choice: ByteChoice,
  constant: { readonly left: boolean; readonly right: boolean },
): readonly LoweredKernel[] {
  const { unit, extent } = choice;
  const steps = Math.ceil(extent / unit.k);
  const left = packRows(plan, groups, target, names, choice, constant.left);
  const right = packPanels(plan, groups, target, names, tile, choice, constant.right);
  const rowWords = lengthOfRow(extent) / unit.k;
  const kernel = writeWordContract(plan, groups, target, names, tile, (site) => {
    const { frame, bindings } = site;
    const b = frame.builder;
    const rows = frame.workspace(left.workspace, 'u32', 'read');
    const panels = frame.workspace(right.workspace, 'u32', 'read');
    const sums = frame.workspaceOf(right.sums, 'i32');
    const inner = groups.rows.at(-1);
    const panelCount = panelsOf(groups.columns.at(-1), tile.columns);
    const panelNumber = (panel: Expression): Expression =>
      add(multiply(outerPosition(rightOuter(groups), bindings), panelCount), panel);
    return {
      unit: unit.name,
      steps,
      left: (row, height, step) => {
        const line = add(
          multiply(outerPosition(leftOuter(groups), bindings), inner?.extent ?? 1),
          row,
        );
        const access = {
          buffer: rows,
          address: add(multiply(line, rowWords), step),
          strides: [rowWords, 0],
        };
        return b.load({ dtype: 'u32', shape: [height, 1] }, access);
      },
      address: (panel) => multiply(panelNumber(panel), steps, tile.columns),
      right: (panel, step, hints) => {
        const line = add(multiply(panelNumber(panel), steps), step);
        const address = multiply(line, tile.columns);
        const access = { buffer: panels, address, strides: [0, 1], ...hints };
        return b.load({ dtype: 'u32', shape: [1, tile.columns] }, access);
      },
      initial: (panel) => {
        if (sums === undefined) return b.literal('i32', 0);
        const address = multiply(panelNumber(panel), tile.columns);
        return b.load(
          { dtype: 'i32', shape: [tile.columns] },
          { buffer: sums, address, strides: [1] },
        );
      },
    };
  });
  return [left.kernel, right.kernel, kernel];
}

const leftOuter = (groups: MergedGroups): readonly Axis[] => [
  ...groups.batch,
  ...groups.rows.slice(0, -1),
];
const rightOuter = (groups: MergedGroups): readonly Axis[] => [
  ...groups.batch,
  ...groups.columns.slice(0, -1),
];
const lengthOfRow = (extent: number): number => Math.ceil(extent / rowElements) * rowElements;
const countOf = (axes: readonly Axis[]): Size => product(axes.map((axis) => axis.extent));

/** The left operand in the unit's type [outer, row, depth], rows of whole tiles. */
function packRows(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  { unit, low, depth, extent }: ByteChoice,
  constant: boolean,
): { readonly kernel: LoweredKernel; readonly workspace: Workspace } {
  const frame = new KernelFrame(plan.step, target);
  const b = frame.builder;
  const outer = leftOuter(groups);
  const row = groups.rows.at(-1);
  const wide = lengthOfRow(extent);
  const bytes = multiply(countOf(outer), row?.extent ?? 1, wide, bytesOf(unit.left));
  const workspace: Workspace = { kind: 'workspace', id: 1, bytes, constant };
  const to = frame.workspace(workspace, unit.left, 'write');
  const bindings = new Bindings();
  const site: ContractSite = { plan, groups, frame, names, bindings, outputs: [] };
  const line: Axis = row ?? { name: 'none', extent: 1, reduced: false };
  const grid = writeTasks(b, [...outer, line], 1, bindings, () => {
    const at = add(
      multiply(outerPosition(outer, bindings), line.extent),
      bindings.get(line.name) ?? 0,
    );
    const store = (first: Expression, tail: Expression | undefined): void => {
      const lanes: TileAxis = { name: laneName, count: rowElements };
      const axis = tail === undefined ? lanes : { ...lanes, tail };
      const bounds = [{ axis: depth.name, value: add(first, variable(laneName, rowElements)) }];
      const values = new ValueLowering(placeIn(site, [axis], bounds));
      const value = values.value(plan.left.node, plan.left.index);
      const moved = low === 0 ? value : b.subtract(value, b.literal('i32', low));
      const mask = values.tailMask();
      const edged = mask === undefined ? moved : b.select(mask, moved, b.literal('i32', 0));
      const bits = b.convert(b.broadcast(edged, [rowElements]), rawType(unit.left));
      b.store({ buffer: to, address: add(multiply(at, wide), first), strides: [1] }, bits);
    };
    const whole = extent - (extent % rowElements);
    b.for(0, whole, rowElements, (first) => store(first, undefined));
    if (whole < extent) store(whole, extent - whole);
  });
  const shape = { lanes: tileLanes(target), group: 1, grid };
  const cost = { flops: 0, bytes: multiply(2, bytes) };
  const packNames = { ...names, name: `${names.name}_left` };
  return { kernel: frame.finish(packNames, shape, { once: constant, cost }), workspace };
}

const tileLanes = (target: Target): number => Math.max(1, target.vectorBytes / 4);

/** The right operand as words [outer, panel, step, column], and low · Σ b by column. */
function packPanels(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  tile: RegisterTile,
  { unit, low, depth, extent }: ByteChoice,
  constant: boolean,
) {
  const frame = new KernelFrame(plan.step, target);
  const b = frame.builder;
  const outer = rightOuter(groups);
  const panels = panelsOf(groups.columns.at(-1), tile.columns);
  const steps = Math.ceil(extent / unit.k);
  const lines = multiply(countOf(outer), panels);
  const bytes = multiply(lines, steps, tile.columns * wordBytes);
  const workspace: Workspace = { kind: 'workspace', id: 0, bytes, constant };
  const sums: Workspace | undefined =
    low === 0
      ? undefined
      : { kind: 'workspace', id: 2, bytes: multiply(lines, tile.columns * wordBytes), constant };
  const to = frame.workspace(workspace, 'u32', 'write');
  const sumsTo = sums === undefined ? undefined : frame.workspace(sums, 'i32', 'write');
  const bindings = new Bindings();
  const site: ContractSite = { plan, groups, frame, names, bindings, outputs: [] };
  const sizes = { depth, panelColumns: tile.columns };
  const tasks = [...outer, { name: 'panel', extent: panels, reduced: false }];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const panel = bindings.get('panel') as Expression;
    const line = add(multiply(outerPosition(outer, bindings), panels), panel);
    const column = multiply(panel, tile.columns);
    const sum = b.variable(b.broadcast(b.literal('i32', 0), [tile.columns]));
    b.for(0, steps, 1, (step) => {
      const rows = Array.from({ length: unit.k }, (_, r): Value => {
        const at = add(multiply(step, unit.k), r);
        return elementsAt(site, sizes, at, column, tile.columns, unit.k);
      });
      const address = multiply(add(multiply(line, steps), step), tile.columns);
      b.store({ buffer: to, address, strides: [1] }, joinRows(b, rows));
      if (sumsTo !== undefined) b.assign(sum, rows.reduce(b.add, b.read(sum)));
    });
    if (sumsTo === undefined) return;
    const start = b.multiply(b.read(sum), b.literal('i32', low));
    b.store({ buffer: sumsTo, address: multiply(line, tile.columns), strides: [1] }, start);
  });
  const shape = { lanes: tile.lanes, group: 1, grid };
  const cost = { flops: 0, bytes: multiply(2, bytes) };
  const packNames = { ...names, name: `${names.name}_pack` };
  const kernel = frame.finish(packNames, shape, { once: constant, cost });
  return { kernel, workspace, sums };
}
