/**
 * The left operand of a register tile, rearranged once: [outer, row block, depth, rows of the
 * tile] in the accumulation type, zero beyond the last row, so that a step of the depth reads
 * neighbours and never converts.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  lessThan,
  multiply,
  product,
  type Size,
  substitute,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Axis } from './axes.js';
import { computeType, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { Root } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import { ValueLowering } from './value.js';

/** A left operand over axes of four kinds; `outer` are tasks of their own. */
export interface LeftOperand {
  readonly step: KernelStep;
  readonly root: Root;
  readonly accumulate: DType;
  readonly outer: readonly Axis[];
  /** The axis that tiles cover. */
  readonly row: Axis;
  /** In the order in which `flat` counts them. */
  readonly depth: readonly Axis[];
  readonly flat: Expression;
  /** Names that count as 0. */
  readonly dropped: ReadonlySet<string>;
}

export interface LeftPanels {
  readonly kernel: LoweredKernel;
  readonly workspace: Workspace;
  /** First element of a tile's panel. */
  address(bindings: Bindings, row: Expression): Expression;
}

/** Number of the panels' workspace within its step; the right operand's is 0. */
const leftId = 1;

export function writeLeftPack(
  operand: LeftOperand,
  target: Target,
  names: KernelNames,
  rows: number,
): LeftPanels {
  const { step, outer, row, depth, dropped } = operand;
  const dtype = computeType(operand.accumulate) as DType;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const blocks = ceilDivide(row.extent, rows);
  const steps = product(depth.map((axis) => axis.extent));
  const elements = multiply(product(outer.map((axis) => axis.extent)), blocks, steps, rows);
  const bytes = multiply(elements, bytesOf(dtype));
  const workspace: Workspace = { kind: 'workspace', id: leftId, bytes, constant: true };
  const to = frame.workspace(workspace, dtype, 'write');
  const panel = (bindings: Bindings, block: Expression): Expression => {
    let position: Expression = 0;
    for (const axis of outer) {
      position = add(multiply(position, axis.extent), bindings.get(axis.name) ?? 0);
    }
    return multiply(add(multiply(position, blocks), block), steps, rows);
  };
  const bindings = new Bindings();
  const tasks = [...outer, { name: 'block', extent: blocks, reduced: false }];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const block = bindings.get('block') as Expression;
    writeLoops(b, depth, bindings, () => {
      b.for(0, rows, 1, (lane) => {
        const at = add(multiply(block, rows), lane);
        const place = multiply(substitute(operand.flat, bindings.get), rows);
        const address = add(panel(bindings, block), place, lane);
        const bind = (name: string): Expression | undefined => {
          if (name === row.name) return at;
          return dropped.has(name) ? 0 : bindings.get(name);
        };
        const inside = (): void => {
          const values = new ValueLowering({
            builder: b,
            target,
            bufferOf: (node: Node) => frame.input(node),
            finish: (e) => substitute(e, bind),
            tile: [],
            known: () => undefined,
            failBase: names.failBase,
          });
          const value = values.value(operand.root.node, operand.root.index);
          const from = operand.root.node.dtype;
          const cast = lowerCast(b, target, from, dtype, false, value);
          b.store({ buffer: to, address, strides: [] }, cast);
        };
        const beyond = (): void =>
          b.store({ buffer: to, address, strides: [] }, b.literal(computeType(dtype), 0));
        if (dividesBy(row.extent, rows)) inside();
        else b.if(lessThan(at, row.extent), inside, beyond);
      });
    });
  });
  const packNames = { ...names, name: `${names.name}_left` };
  const cost = { flops: 0, bytes: multiply(2, bytes) };
  const shape = { lanes: 1, group: 1, grid };
  return {
    kernel: frame.finish(packNames, shape, { once: true, cost }),
    workspace,
    address: (at, start) => panel(at, start),
  };
}

export const dividesBy = (extent: Size, by: number): boolean =>
  typeof extent === 'number' && extent % by === 0;
