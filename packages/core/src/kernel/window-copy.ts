/** The padded copy of a window's input, with strided rows split into phases (see CopyLayout). */
import {
  add,
  type Expression,
  floorDivide,
  modulo,
  multiply,
  provablyAtLeast,
  provablyLess,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import { axis } from './axes.js';
import type { Value } from './builder.js';
import { computeType, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, vectorLanes } from './fused.js';
import { identityOf } from './identity.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, rowsPerTask, writeTasks, writeTiles } from './nest.js';
import { ValueLowering } from './value.js';
import {
  type CopyLayout,
  copyLayout,
  copyType,
  inGraphOrder,
  type Spatial,
  type WindowPlan,
} from './window-plan.js';

export interface WindowCopy {
  readonly kernel: LoweredKernel;
  readonly workspace: Workspace;
  readonly layout: CopyLayout;
}

export function writeWindowCopy(plan: WindowPlan, target: Target, names: KernelNames): WindowCopy {
  const layout = copyLayout(plan);
  const dtype = copyType(plan);
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const workspace: Workspace = { kind: 'workspace', id: 0, bytes: layout.bytes, constant: false };
  const to = frame.workspace(workspace, dtype, 'write');
  const type = computeType(dtype);
  const wide = /64$/.test(type) || /64$/.test(computeType(plan.x.dtype));
  const lanes = Math.max(1, vectorLanes(target) / (wide ? 2 : 1));
  const bindings = new Bindings();
  const rowAxes = [
    axis('n', plan.batch),
    axis('c', plan.channels),
    ...layout.outer.map((extent, i) => axis(`y${i}`, extent)),
    axis('phase', layout.phases),
  ];
  const last = plan.spatial.at(-1) as Spatial;
  const grid = writeTasks(b, rowAxes, rowsPerTask(layout.columns), bindings, () => {
    const row = rowAxes.reduce<Expression>(
      (position, { name, extent }) => add(multiply(position, extent), bound(bindings, name)),
      0,
    );
    writeTiles(b, 0, layout.columns, lanes, (base, tail) => {
      const lane = lanes === 1 ? 0 : variable(laneName, lanes);
      const column = add(base, lane);
      const tile = lanes === 1 ? [] : [{ name: laneName, count: lanes }];
      const values = new ValueLowering({
        builder: b,
        target,
        bufferOf: (node) => frame.input(node),
        finish: (e) => substitute(e, () => undefined),
        tile: tail === undefined ? tile : tile.map((a) => ({ ...a, tail })),
        known: () => undefined,
        failBase: names.failBase,
      });
      const padded = [
        ...layout.outer.map((_, i) => bound(bindings, `y${i}`)),
        add(multiply(column, last.stride), bound(bindings, 'phase')),
      ];
      const inside = insideOf(plan, padded, values, (x, y) => b.and(x, y));
      const index = [
        bound(bindings, 'n'),
        bound(bindings, 'c'),
        ...inGraphOrder(
          plan.order,
          padded.map((p, i) => sourceIndex(plan.spatial[i] as Spatial, p)),
        ),
      ];
      const source = values.value(plan.x, index, inside);
      const cast =
        plan.accumulate === 'bool'
          ? b.convert(source, 'u32')
          : lowerCast(b, target, plan.x.dtype, plan.accumulate, false, source);
      const identity = identityOf(
        plan.node.attributes.kind === 'convolve' ? 'sum' : plan.node.attributes.kind,
        plan.accumulate,
      );
      const fill = b.literal(type, identity);
      const value = inside === undefined ? cast : b.select(inside, cast, fill);
      const address = add(multiply(row, layout.columns), base);
      if (lanes === 1) b.store({ buffer: to, address, strides: [] }, value);
      else {
        const limits = tail === undefined ? {} : { limits: [{ high: tail }] };
        b.store({ buffer: to, address, strides: [1], ...limits }, b.broadcast(value, [lanes]));
      }
    });
  });
  const copyNames = { ...names, name: `${names.name}_pad` };
  const cost = { flops: 0, bytes: multiply(2, workspace.bytes) };
  const shape = { lanes, group: 1, grid };
  return { kernel: frame.finish(copyNames, shape, { cost }), workspace, layout };
}

const bound = (bindings: Bindings, name: string): Expression => bindings.get(name) ?? 0;

/** Index into x of a padded position; meaningful only inside. */
export function sourceIndex(s: Spatial, padded: Expression): Expression {
  const position = subtract(padded, s.low);
  return s.inputDilation === 1 ? position : floorDivide(position, s.inputDilation);
}

/** Whether a padded position is an element of x, as a value; undefined where it always is. */
export function insideOf(
  plan: WindowPlan,
  padded: readonly Expression[],
  values: ValueLowering,
  and: (a: Value, b: Value) => Value,
): Value | undefined {
  let inside: Value | undefined;
  const demand = (condition: Value): void => {
    inside = inside === undefined ? condition : and(inside, condition);
  };
  plan.spatial.forEach((s, axis) => {
    const position = subtract(padded[axis] as Expression, s.low);
    const end = add(multiply(subtract(s.size, 1), s.inputDilation), 1);
    if (!provablyAtLeast(position, 0)) demand(values.atLeast(position, 0));
    if (!provablyLess(position, end)) demand(values.below(position, end));
    if (s.inputDilation > 1) {
      demand(values.below(modulo(position, s.inputDilation), 1));
    }
  });
  return inside;
}
