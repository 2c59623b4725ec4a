/** Windows for targets with threads: one output per thread, padding by masks, no copy. */
import {
  add,
  ceilDivide,
  type Expression,
  multiply,
  product,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import { axis } from './axes.js';
import type { Value } from './builder.js';
import { computeType, lowerBinary, lowerCast, settle } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, storeAt } from './fused.js';
import { identityOf } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';
import { unflatten } from './view-index.js';
import { insideOf, sourceIndex } from './window-copy.js';
import {
  batchName,
  groupName,
  inGraphOrder,
  rowAxisName,
  type Spatial,
  spatialName,
  type WindowPlan,
} from './window-plan.js';

export function writeWindowGroup(
  plan: WindowPlan,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  const { kind } = plan.node.attributes;
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const bindings = new Bindings();
  const group = target.preferredGroup;
  const type = plan.accumulate === 'bool' ? 'u32' : computeType(plan.accumulate);
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  const outs = plan.spatial.map((s) => s.out);
  const plane = product(outs);
  const tasks = [
    axis(batchName, plan.batch),
    axis(groupName, plan.groups),
    axis(rowAxisName, plan.rows),
    axis('block', ceilDivide(plane, group)),
  ];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const base = multiply(bindings.get('block') ?? 0, group);
    const lanes: TileAxis = { name: laneName, count: group, tail: subtract(plane, base) };
    const position = unflatten(outs, add(base, variable(laneName, group)));
    const replacement = (name: string): Expression | undefined => {
      const at = outs.findIndex((_, i) => spatialName(i) === name);
      return at >= 0 ? position[at] : bindings.get(name);
    };
    const place: Place = {
      builder: b,
      target,
      bufferOf: (node) => frame.input(node),
      finish: (e) => substitute(e, replacement),
      tile: [lanes],
      known: () => undefined,
      failBase: names.failBase,
    };
    const row = bindings.get(rowAxisName) ?? 0;
    const shape = [group];
    const identity = b.literal(
      type,
      identityOf(kind === 'convolve' ? 'sum' : kind, plan.accumulate),
    );
    const accumulator = b.variable(b.broadcast(identity, shape), { dtype: type, shape });
    const cast = (from: typeof plan.x, value: Value): Value =>
      plan.accumulate === 'bool'
        ? b.convert(value, 'u32')
        : lowerCast(b, target, from.dtype, plan.accumulate, false, value);
    const walk = (depth: Expression, taps: readonly Expression[]): void => {
      const s = plan.spatial[taps.length];
      if (s !== undefined) {
        b.for(0, s.kernel, 1, (tap) => walk(depth, [...taps, tap]));
        return;
      }
      const values = new ValueLowering(place);
      const padded = plan.spatial.map((spatial, i) => {
        const shift = multiply(taps[i] as Expression, spatial.kernelDilation);
        return add(multiply(position[i] as Expression, spatial.stride), shift);
      });
      const inside = insideOf(plan, padded, values, b.and);
      const channel =
        plan.weights === undefined
          ? row
          : add(multiply(bindings.get(groupName) ?? 0, plan.depth), depth);
      const source = padded.map((p, i) => sourceIndex(plan.spatial[i] as Spatial, p));
      const index = [bindings.get(batchName) ?? 0, channel, ...inGraphOrder(plan.order, source)];
      const fetched = cast(plan.x, values.value(plan.x, index, inside));
      const x = inside === undefined ? fetched : b.select(inside, fetched, identity);
      const old = b.read(accumulator);
      if (plan.weights !== undefined) {
        const out = add(multiply(bindings.get(groupName) ?? 0, plan.rows), row);
        const w = cast(
          plan.weights,
          values.value(plan.weights, [out, depth, ...inGraphOrder(plan.order, taps)]),
        );
        b.assign(accumulator, b.broadcast(b.multiplyAdd(w, x, old), shape));
        return;
      }
      const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
      if (name === 'convolve') return;
      const next =
        plan.accumulate === 'bool'
          ? b.binary(name, old, x)
          : lowerBinary(b, target, name, plan.accumulate, old, x, () => {});
      b.assign(accumulator, b.broadcast(next, shape));
    };
    b.for(0, plan.depth, 1, (depth) => walk(depth, []));
    const total = b.read(accumulator);
    const sum =
      plan.accumulate === 'bool'
        ? b.notEqual(total, b.literal('u32', 0))
        : lowerCast(
            b,
            target,
            plan.accumulate,
            plan.node.dtype,
            false,
            settle(b, plan.accumulate, total),
          );
    const final: Place = {
      ...place,
      known: (node) => (node.id === plan.node.id ? sum : undefined),
    };
    const values = new ValueLowering(final);
    plan.roots.forEach(({ node, index }, i) => {
      storeAt(final, outputs[i] as string, node, index, values.value(node, index));
    });
  });
  return frame.finish(names, { lanes: group, group, grid });
}
