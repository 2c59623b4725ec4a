/**
 * Contractions: packed panels of the right operand and a register tile for vector targets, group
 * tiles in shared memory for targets with threads.
 *
 * Packing is worth it where many rows use a panel, or where the columns do not lie side by side;
 * panels of constants are packed once. Blocking after Goto and van de Geijn, "Anatomy of
 * high-performance matrix multiplication", ACM TOMS 34(3), 2008.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import {
  equal,
  linearIn,
  multiply,
  product,
  provablyAtLeast,
  type Size,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { memoryRoot } from '../schedule/views.js';
import type { Axis } from './axes.js';
import { leftBudget } from './contract-blocks.js';
import { chooseBytes, lowerBytes } from './contract-bytes.js';
import { writeGroupContract } from './contract-group.js';
import { writePack } from './contract-pack.js';
import {
  addressesOf,
  type ContractPlan,
  extentOf,
  type MergedGroups,
  mergeGroups,
  planContract,
} from './contract-plan.js';
import { lowerQuantized } from './contract-quantized.js';
import { writeRegisterContract } from './contract-register.js';
import { chooseUnit, type UnitChoice } from './contract-unit.js';
import { writeUnitContract } from './contract-unit-write.js';
import { computeType, memoryType } from './elementwise.js';
import type { KernelNames } from './frame.js';
import { type LeftOperand, writeLeftPack } from './left-pack.js';
import { type Choices, type LoweredKernel, withCost } from './lowered.js';
import { inPlace, registerTile, tileWithin } from './register-tile.js';
import { lineBytes } from './streaming.js';
import { writeUnitPack } from './unit-pack.js';

const one: Axis = { name: 'none', extent: 1, reduced: false };

/** Whether everything that a value is made of is constant, and its sizes are, too. */
export function isConstantValue(step: KernelStep, node: Node): boolean {
  if (node.shape.some((size) => typeof size !== 'number')) return false;
  const stop = new Set(step.inputs.map((input) => input.id));
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    // A step may know a constant by another name of its memory.
    if (memoryRoot(next).op === 'constant') continue;
    if (stop.has(next.id) || next.inputs.length === 0) return false;
    stack.push(...next.inputs);
  }
  return true;
}

/**
 * Whether a constant left operand is laid out anew: its elements need a conversion, which a tile
 * would repeat for every column block. What memory holds as it is used is read in place.
 */
export function convertsLeft(step: KernelStep, node: Node, accumulate: DType): boolean {
  const type = computeType(accumulate);
  return memoryType(node.dtype) !== type && isConstantValue(step, node);
}

export function lowerContract(
  step: KernelStep,
  target: Target,
  names: KernelNames,
  choices: Choices,
): readonly LoweredKernel[] {
  const plan = planContract(step);
  const leftSeen = addressesOf(plan, target, [plan.left], false);
  const rightSeen = addressesOf(plan, target, [plan.right], false);
  const outSeen = addressesOf(plan, target, plan.roots, true);
  const cost = costOf(plan.node);
  const plain = {
    left: leftSeen,
    right: rightSeen,
    out: outSeen,
    packsLeft: false,
    packsRight: false,
  };
  if (target.execution === 'threads') {
    const groups = mergeGroups(plan, plain);
    return [{ ...writeGroupContract(plan, groups, target, names, choices), ...cost }];
  }
  const unpacked = mergeGroups(plan, plain);
  if (isConstantValue(step, plan.right.node)) {
    const kernels = lowerQuantized(plan, unpacked, target, names);
    const [main] = kernels?.slice(-1) ?? [];
    if (kernels !== undefined && main !== undefined) {
      return [...kernels.slice(0, -1), { ...main, ...cost }];
    }
  }
  const unit = chooseUnit(plan, unpacked, target, choices.precision);
  if (unit !== undefined) return lowerOnUnit(plan, unpacked, target, names, unit, cost);
  const constant = isConstantValue(step, plan.right.node);
  const bytes = chooseBytes(plan, unpacked, target, constant);
  if (bytes !== undefined) {
    const [row, column] = [unpacked.rows, unpacked.columns].map((all) => all.at(-1) ?? one);
    const sizes = [row?.extent ?? 1, column?.extent ?? 1] as const;
    const tile = registerTile(target, 'i32', ...sizes, bytes.unit.left === 'u8');
    const once = { left: isConstantValue(step, plan.left.node), right: constant };
    return withCost(lowerBytes(plan, unpacked, target, names, tile, bytes, once), cost);
  }
  const columns = unpacked.columns.at(-1) ?? one;
  const rows = extentOf(plan.groups.rows);
  const sideBySide = rightSeen.every((e) => {
    const linear = linearIn(e, columns.name);
    return linear !== undefined && (equal(linear.coefficient, 1) || equal(linear.coefficient, 0));
  });
  const few = equal(rows, 1) || (typeof rows === 'number' && rows < 4);
  const least = rowsForPacking(plan, target);
  const pays = constant || (!few && (!sideBySide || provablyAtLeast(rows, least)));
  const packsRight = pays && target.vectorBytes > 0;
  const packsLeft = packsLeftOperand(step, target, plan, rows);
  const groups = mergeGroups(plan, { ...plain, packsLeft, packsRight });
  const inner = (groups.rows.at(-1) ?? one).extent;
  const whole = registerTile(
    target,
    computeType(plan.node.attributes.accumulate),
    inner,
    (groups.columns.at(-1) ?? one).extent,
  );
  const tile = packsLeft ? whole : inPlace(whole, inner);
  const left = packsLeft
    ? writeLeftPack(leftOperand(plan, groups), target, names, tile.rows)
    : undefined;
  const right = packsRight ? writePack(plan, groups, target, names, tile, constant) : undefined;
  const spaces = [right?.workspace, left] as const;
  const kernel = writeRegisterContract(plan, groups, target, names, tile, ...spaces);
  const packs = [left?.kernel, right?.kernel].filter((pack) => pack !== undefined);
  return [...packs, { ...kernel, ...cost }];
}

/**
 * Rows from which panels pay where columns lie side by side. Vectors narrower than a line read
 * little of each row: where those are many, the next tile of rows would find none in the caches.
 */
function rowsForPacking({ groups, right }: ContractPlan, target: Target): number {
  const elements = product([...groups.depth, ...groups.columns].map((axis) => axis.extent));
  const isLarge =
    typeof elements === 'number' && elements * bytesOf(right.node.dtype) > leftBudget(target);
  return target.vectorBytes < lineBytes && isLarge ? 8 : 32;
}

/** Panels for the unit, then the product with its plain code for what the unit does not take. */
function lowerOnUnit(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  choice: UnitChoice,
  cost: { readonly flops: Size },
): readonly LoweredKernel[] {
  const constant = isConstantValue(plan.step, plan.right.node);
  const panels = writeUnitPack(plan, groups, target, names, choice, constant);
  // Cut as the unit's tiles are, so that a task writes its own rows and columns only.
  const columns = (panels.isOnlyCopy ? 1 : choice.columnTiles) * choice.unit.n;
  const type = computeType(plan.node.attributes.accumulate);
  const tile = tileWithin(target, type, choice.unit.m, columns);
  const kernel = writeUnitContract(plan, groups, target, names, choice, panels, tile);
  return [panels.kernel, { ...kernel, ...cost }];
}

/** Only where several rows and columns share the work. */
function packsLeftOperand(
  step: KernelStep,
  target: Target,
  plan: ContractPlan,
  rows: Size,
): boolean {
  const { accumulate } = plan.node.attributes;
  const columns = extentOf(plan.groups.columns);
  const many = typeof columns !== 'number' || columns >= 8;
  const several = typeof rows === 'number' && rows > 1;
  return (
    target.vectorBytes > 0 && many && several && convertsLeft(step, plan.left.node, accumulate)
  );
}

function leftOperand(plan: ContractPlan, groups: MergedGroups): LeftOperand {
  return {
    step: plan.step,
    root: plan.left,
    accumulate: plan.node.attributes.accumulate,
    outer: [...groups.batch, ...groups.rows.slice(0, -1)],
    row: groups.rows.at(-1) ?? one,
    depth: plan.groups.depth,
    flat: plan.depth,
    dropped: new Set(
      [...groups.dropped].filter((name) => plan.groups.depth.every((axis) => axis.name !== name)),
    ),
  };
}

/** Multiplications and additions; every operand and the result moved once. */
function costOf(node: Node): { readonly flops: Size } {
  const [a] = node.inputs as [Node];
  const depth =
    node.op === 'contract'
      ? product(node.attributes.contracted.map(([axis]) => a.shape[axis] as Size))
      : 1;
  return { flops: multiply(2, product(node.shape), depth) };
}
