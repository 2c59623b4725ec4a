/**
 * Packing: the right operand as panels [batch, outer columns, panel, depth, columns of the tile],
 * zero beyond the last column, converted to the accumulation type.
 */

import { bytesOf, type DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  lessThan,
  linearIn,
  minimum,
  multiply,
  product,
  provablyAtLeast,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import { panelsOf } from './contract-panels.js';
import { addressesOf, type ContractPlan, extentOf, type MergedGroups } from './contract-plan.js';
import { computeType, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import type { RegisterTile } from './register-tile.js';
import { lineBytes } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';

export interface Panels {
  readonly kernel: LoweredKernel;
  readonly workspace: Workspace;
}

/** The dtype whose memory form holds values of the accumulation type. */
export function panelType(plan: ContractPlan): DType {
  return computeType(plan.node.attributes.accumulate) as DType;
}

/** First element of the panel at the given batch, outer columns and panel number. */
export function panelAddress(
  plan: ContractPlan,
  groups: MergedGroups,
  tile: RegisterTile,
  bindings: Bindings,
  panel: Expression,
): Expression {
  const inner = groups.columns.at(-1);
  const outer = [...groups.batch, ...groups.columns.slice(0, -1)];
  let position: Expression = 0;
  for (const axis of outer) {
    position = add(multiply(position, axis.extent), bindings.get(axis.name) ?? 0);
  }
  const panels = panelsOf(inner, tile.columns);
  const depth = extentOf(plan.groups.depth);
  return multiply(add(multiply(position, panels), panel), depth, tile.columns);
}

export function writePack(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  tile: RegisterTile,
  constant: boolean,
): Panels {
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const inner = groups.columns.at(-1);
  const outer = [...groups.batch, ...groups.columns.slice(0, -1)];
  const panels = panelsOf(inner, tile.columns);
  const depth = extentOf(plan.groups.depth);
  const dtype = panelType(plan);
  const elements = multiply(product(outer.map((axis) => axis.extent)), panels, depth, tile.columns);
  const workspace: Workspace = {
    kind: 'workspace',
    id: 0,
    bytes: multiply(elements, bytesOf(dtype)),
    constant,
  };
  const to = frame.workspace(workspace, dtype, 'write');
  const bindings = new Bindings();
  const extent = inner?.extent ?? 1;
  const group = constant ? 1 : panelsAtOnce(plan, groups, target, tile);
  const groupAxis = { name: 'group', extent: ceilDivide(panels, group), reduced: false };
  const grid = writeTasks(b, [...outer, groupAxis], 1, bindings, () => {
    const start = multiply(bindings.get('group') as Expression, group);
    /** The elements of a panel at the bound depth. */
    const copy = (panel: Expression, tail?: Expression): void => {
      const first = multiply(panel, tile.columns);
      const axis: TileAxis = { name: laneName, count: tile.columns };
      const bind = (name: string): Expression | undefined => {
        if (name === inner?.name) return add(first, variable(laneName, tile.columns));
        return groups.dropped.has(name) && !isDepth(plan, name) ? 0 : bindings.get(name);
      };
      const values = new ValueLowering({
        builder: b,
        target,
        bufferOf: (node) => frame.input(node),
        finish: (e) => substitute(e, bind),
        tile: [tail === undefined ? axis : { ...axis, tail }],
        known: () => undefined,
        failBase: names.failBase,
      });
      const value = values.value(plan.right.node, plan.right.index);
      const cast = lowerCast(b, target, plan.right.node.dtype, dtype, false, value);
      const zero = b.literal(computeType(dtype), 0);
      const mask = values.tailMask();
      const filled = mask === undefined ? cast : b.select(mask, cast, zero);
      const flat = substitute(plan.depth, bindings.get);
      const base = panelAddress(plan, groups, tile, bindings, panel);
      const address = add(base, multiply(flat, tile.columns));
      b.store({ buffer: to, address, strides: [1] }, b.broadcast(filled, [tile.columns]));
    };
    const walk = (body: () => void): void => writeLoops(b, plan.groups.depth, bindings, body);
    const copyPanel = (panel: Expression): void => {
      const tail = subtract(extent, multiply(panel, tile.columns));
      const masked = (): void => walk(() => copy(panel, tail));
      const whole = (): void => walk(() => copy(panel));
      if (typeof extent === 'number' && extent % tile.columns === 0) whole();
      else if (!provablyAtLeast(extent, tile.columns)) masked();
      else b.if(lessThan(tail, tile.columns), masked, whole);
    };
    if (group === 1) {
      copyPanel(start);
      return;
    }
    const columns = group * tile.columns;
    const apart = (): void => b.for(start, minimum(add(start, group), panels), 1, copyPanel);
    const together = (): void =>
      walk(() => {
        for (let panel = 0; panel < group; panel++) copy(add(start, panel));
      });
    if (typeof extent === 'number' && extent % columns === 0) together();
    else if (!provablyAtLeast(extent, columns)) apart();
    else b.if(lessThan(subtract(extent, multiply(start, tile.columns)), columns), apart, together);
  });
  const shape = { lanes: tile.lanes, group: 1, grid };
  const packNames = { ...names, name: `${names.name}_pack` };
  // Its own cost: panels of constants are packed before any size of the step is known.
  const cost = { flops: 0, bytes: multiply(2, workspace.bytes) };
  return { kernel: frame.finish(packNames, shape, { once: constant, cost }), workspace };
}

/** Bytes of a row that are read at once where rows lie far apart: their pages are many. */
const rowBytes = 256;

/** Panels that are packed side by side: of narrow vectors one alone reads little of each row. */
function panelsAtOnce(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  tile: RegisterTile,
): number {
  if (target.vectorBytes >= lineBytes) return 1;
  const column = groups.columns.at(-1)?.name ?? '';
  const seen = addressesOf(plan, target, [plan.right], false);
  const isSideBySide = seen.every((address) => {
    const linear = linearIn(address, column);
    return linear !== undefined && equal(linear.coefficient, 1);
  });
  const bytes = tile.columns * bytesOf(plan.right.node.dtype);
  return isSideBySide ? Math.max(1, Math.floor(rowBytes / bytes)) : 1;
}

const isDepth = (plan: ContractPlan, name: string): boolean =>
  plan.groups.depth.some((axis) => axis.name === name);
