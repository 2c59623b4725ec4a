/**
 * Contractions on a matrix unit of a vector target: which unit takes which operands, how f32 is
 * split for it, and how the work is blocked.
 */
import { type DType, isFloat } from '../base/dtype.js';
import { type Precision, partsOf } from '../base/precision.js';
import type { MatrixUnit, Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { extentOf } from './contract-plan.js';
import { integerRange } from './integer-range.js';
import { type UnitBlocks, unitBlocks } from './unit-blocks.js';

export interface UnitChoice extends UnitBlocks {
  readonly unit: MatrixUnit;
  /** Small integers are exact: no range to check, and no plain code beside it. */
  readonly exact: boolean;
  /** Parts that an element is split into; 1 where the unit takes it as it is. */
  readonly parts: 1 | 2 | 3;
  /** Whether elements are rounded to the unit's type, so that their range matters. */
  readonly splits: boolean;
  /** Products of parts (left, right), smallest first; neighbours share an operand. */
  readonly products: readonly (readonly [number, number])[];
  /** Tiles of rows and of columns that share operands. */
  readonly rowTiles: number;
  readonly columnTiles: number;
}

/**
 * In the order of growing products, so that small ones are not lost; each step changes one
 * operand, so that tiles are loaded 7 times and not 12.
 */
export const productsOf: Readonly<Record<1 | 2 | 3, UnitChoice['products']>> = {
  1: [[0, 0]],
  2: [
    [1, 0],
    [0, 0],
    [0, 1],
  ],
  3: [
    [2, 0],
    [1, 0],
    [1, 1],
    [0, 1],
    [0, 2],
    [0, 0],
  ],
};

/** Products of whole tiles below which packing and two launches cost more than the unit saves. */
const leastTiles = 32;

type Tiling = 'unit' | 'parts' | 'products' | 'rowTiles' | 'columnTiles';

/** Whether split operands save more than splitting costs, which few columns or rows do not. */
function splittingPays(
  [rows, columns, inner]: readonly [number, number, number],
  { unit, parts, products, rowTiles, columnTiles }: Pick<UnitChoice, Tiling>,
): boolean {
  const { splitting } = unit;
  if (splitting === undefined) return true;
  const up = (count: number, step: number): number => Math.ceil(count / step) * step;
  const whole = up(rows, rowTiles * unit.m) * up(columns, columnTiles * unit.n) * up(inner, unit.k);
  const { plain, product, left, right } = splitting;
  const saved = rows * columns * inner * plain - whole * products.length * product;
  return saved > (inner * (rows * left + columns * right) * parts) / 3;
}

/** A unit for operands of these types that it loads from memory. */
export const unitFor = (target: Target, left: DType, right: DType, accumulate: DType) =>
  target.matrixUnits.find(
    (unit) =>
      unit.operands === 'global' &&
      unit.left === left &&
      unit.right === right &&
      unit.accumulate === accumulate,
  );

/** Types of one byte that hold an operand's values. */
function bytesThatHold(step: KernelStep, node: Node): readonly DType[] {
  const range = integerRange(step, node);
  if (range === undefined) return [];
  const [low, high] = range;
  const types: readonly (readonly [DType, number, number])[] = [
    ['u8', 0, 255],
    ['i8', -128, 127],
  ];
  return types.filter(([, from, to]) => low >= from && high <= to).map(([dtype]) => dtype);
}

function integerUnit(plan: ContractPlan, target: Target): MatrixUnit | undefined {
  const { step, left, right, node } = plan;
  if (node.attributes.accumulate !== 'i32') return undefined;
  const rights = bytesThatHold(step, right.node);
  return bytesThatHold(step, left.node)
    .flatMap((a) => rights.map((b) => unitFor(target, a, b, 'i32')))
    .find((unit) => unit !== undefined);
}

function floatUnit(plan: ContractPlan, target: Target): MatrixUnit | undefined {
  const [left, right] = plan.node.inputs as [Node, Node];
  if (left.dtype !== right.dtype || !['f32', 'bf16'].includes(left.dtype)) return undefined;
  return unitFor(target, 'bf16', 'bf16', plan.node.attributes.accumulate);
}

/** How the unit would do it; undefined where it cannot or where it does not pay. */
export function chooseUnit(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  precision: Precision,
): UnitChoice | undefined {
  const { precision: own = precision } = plan.node.attributes;
  const { depth } = groups;
  const exact = !isFloat(plan.node.dtype);
  const unit = exact ? integerUnit(plan, target) : floatUnit(plan, target);
  if (unit === undefined || depth.length !== 1) return undefined;
  const splits = plan.left.node.dtype === 'f32';
  const rows = groups.rows.at(-1)?.extent ?? 1;
  const columns = groups.columns.at(-1)?.extent ?? 1;
  const inner = extentOf(depth);
  if (typeof rows !== 'number' || typeof columns !== 'number' || typeof inner !== 'number') {
    return undefined;
  }
  const pays = rows >= unit.m && columns >= unit.n && inner >= unit.k;
  if (!pays || rows * columns * inner < leastTiles * unit.m * unit.n * unit.k) return undefined;
  const parts = splits ? partsOf[own] : 1;
  const products = productsOf[parts];
  const rowTiles = rows > unit.m ? 2 : 1;
  const columnTiles = 2;
  const tiles = { unit, parts, products, rowTiles, columnTiles } as const;
  if (splits && !exact && !splittingPays([rows, columns, inner], tiles)) return undefined;
  const others = [...groups.batch, ...groups.rows.slice(0, -1), ...groups.columns.slice(0, -1)];
  const outer = others.reduce(
    (count, { extent }) => count * (typeof extent === 'number' ? extent : target.cores),
    1,
  );
  const work = { rows, columns, steps: Math.ceil(inner / unit.k), outer, cores: target.cores };
  const tile = { unit, parts, products: products.length, rowTiles, columnTiles };
  return {
    unit,
    exact,
    parts,
    splits,
    products,
    rowTiles,
    columnTiles,
    ...unitBlocks(work, tile),
  };
}
