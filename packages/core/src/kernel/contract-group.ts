/**
 * The group kernel for targets with threads: a task makes a tile of the result; tiles of both
 * operands along the depth are shared by the group; the accumulator tile is spread over threads.
 */
import type { DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  multiply,
  product,
  provablyAtLeast,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import { type Precision, partsOf } from '../base/precision.js';
import type { MatrixUnit, Target } from '../base/target.js';
import { axis } from './axes.js';
import type { Value } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { computeType, lowerCast, settle, toMemory } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, type Root, storeAt } from './fused.js';
import { groupTile, plainDepth, prefetchRegisters, unitTile } from './group-tile.js';
import type { Choices, LoweredKernel } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import { SplitProduct } from './split-parts.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';

type Pair = readonly [Value, Value];

const rowName = 'row';
const stepName = 'step';

/** A unit that can do a contraction of a plan, and the parts its operands are split into. */
function unitFor(
  plan: ContractPlan,
  target: Target,
  precision: Precision,
): readonly [MatrixUnit, number] | undefined {
  const { accumulate } = plan.node.attributes;
  const [left, right] = [plan.left.node.dtype, plan.right.node.dtype];
  const takes = (dtype: DType): MatrixUnit | undefined =>
    target.matrixUnits.find(
      (unit) =>
        unit.left === dtype &&
        unit.right === dtype &&
        unit.accumulate === accumulate &&
        unit.operands === 'shared',
    );
  if (left !== right) return undefined;
  const unit = takes(left === 'f32' ? 'bf16' : left);
  return unit === undefined ? undefined : [unit, left === 'f32' ? partsOf[precision] : 1];
}

export function writeGroupContract(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  choices: Choices,
): LoweredKernel {
  const { accumulate } = plan.node.attributes;
  const type = computeType(accumulate);
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const bindings = new Bindings();
  const rows = groups.rows.at(-1);
  const columns = groups.columns.at(-1);
  const depth = groups.depth.at(-1);
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  const outer = [...groups.batch, ...groups.rows.slice(0, -1), ...groups.columns.slice(0, -1)];
  const rowExtent = rows?.extent ?? 1;
  const columnExtent = columns?.extent ?? 1;
  const depthExtent = depth?.extent ?? 1;
  const tasksAround = product(outer.map((axis) => axis.extent));
  const bytes = /64$/.test(type) ? 8 : 4;
  const extents = [rowExtent, columnExtent, tasksAround] as const;
  const precision = plan.node.attributes.precision ?? choices.precision;
  const unit = suitsUnit(rowExtent, columnExtent, depthExtent)
    ? unitFor(plan, target, precision)
    : undefined;
  const onUnit = unit === undefined ? undefined : unitTile(target, ...unit, ...extents);
  const tile = onUnit ?? groupTile(target, bytes, ...extents);
  const tasks = [
    ...outer,
    axis('rowBlock', ceilDivide(rowExtent, tile.rows)),
    axis('columnBlock', ceilDivide(columnExtent, tile.columns)),
  ];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const row = multiply(bindings.get('rowBlock') ?? 0, tile.rows);
    const column = multiply(bindings.get('columnBlock') ?? 0, tile.columns);
    const rowAxis = tileAxis(rowName, tile.rows, rowExtent, row);
    const columnAxis = tileAxis(laneName, tile.columns, columnExtent, column);
    const replacement =
      (along: Expression | undefined) =>
      (name: string): Expression | undefined => {
        if (name === rows?.name) return add(row, variable(rowName, tile.rows));
        if (name === columns?.name) return add(column, variable(laneName, tile.columns));
        if (name === depth?.name && along !== undefined) return along;
        return groups.dropped.has(name) ? 0 : bindings.get(name);
      };
    const placeFor = (
      axes: readonly TileAxis[],
      along: Expression | undefined,
      known: Place['known'],
    ): Place => ({
      builder: b,
      target,
      bufferOf: (node) => frame.input(node),
      finish: (e) => substitute(e, replacement(along)),
      tile: axes,
      known,
      failBase: names.failBase,
    });
    const operand = ({ node, index }: Root, place: Place, asBits: boolean): Value => {
      const values = new ValueLowering(place);
      const plain = values.value(node, index);
      const value = asBits
        ? toMemory(b, node.dtype, plain)
        : lowerCast(b, target, node.dtype, accumulate, false, plain);
      const wide = b.broadcast(
        value,
        place.tile.map((a) => a.count),
      );
      // A plain load of a tile gives 0 beyond the edge; one element or a computed value does not.
      const isPlain = frame.input(node) !== undefined && value.type.shape.length > 0;
      const mask = isPlain ? undefined : values.tailMask();
      return mask === undefined ? wide : b.select(mask, wide, b.literal(value.type.dtype, 0));
    };
    const shape = [tile.rows, tile.columns];
    const zero = b.broadcast(b.literal(type, 0), shape);
    const accumulator = b.variable(zero, { dtype: type, shape });
    /** Both operands' tiles of `count` depths from a step on; `whole`: none lies beyond the end. */
    const operandsAt = (step: Expression, count: number, whole: boolean): Pair => {
      const fits = whole && typeof depthExtent === 'number' && depthExtent % count === 0;
      const end = fits ? {} : { tail: subtract(depthExtent, step) };
      const depthAxis: TileAxis = { name: stepName, count, ...end, zeroed: true };
      const along = add(step, variable(stepName, count));
      const none: Place['known'] = () => undefined;
      const asBits = onUnit !== undefined && plan.left.node.dtype !== 'f32';
      return [
        operand(plan.left, placeFor([rowAxis, depthAxis], along, none), asBits),
        operand(plan.right, placeFor([depthAxis, columnAxis], along, none), asBits),
      ];
    };
    const walk = (count: number, use: (operands: Pair) => void): void =>
      writeLoops(b, groups.depth.slice(0, -1), bindings, () => {
        if (target.vectorRegisters < prefetchRegisters || provablyAtLeast(count, depthExtent)) {
          b.for(0, depthExtent, count, (step) => use(operandsAt(step, count, true)));
          return;
        }
        // The next step's operands are on their way while this step's are multiplied.
        const next = operandsAt(0, count, true).map((value) => b.variable(value));
        b.for(0, depthExtent, count, (step) => {
          const now = next.map((each) => b.read(each)) as readonly Value[] as Pair;
          const later = operandsAt(add(step, count), count, false);
          next.forEach((each, at) => {
            b.assign(each, later[at] as Value);
          });
          use(now);
        });
      });
    const plainly = (count: number): void =>
      walk(count, ([a, c]) => b.assign(accumulator, b.dot(a, c, b.read(accumulator))));
    if (onUnit === undefined) plainly(tile.depth);
    else if (plan.left.node.dtype === 'f32') {
      const split = new SplitProduct(b, onUnit, accumulator);
      walk(tile.depth, split.add);
      // What cannot be split is multiplied anew.
      const outside = split.outside();
      if (outside !== undefined) {
        b.if(outside, () => {
          b.assign(accumulator, zero);
          plainly(plainDepth);
        });
      }
    } else {
      const { name } = onUnit.unit;
      walk(tile.depth, ([a, c]) => {
        b.assign(accumulator, b.dot(a, c, b.read(accumulator), name));
      });
    }
    const total = settle(b, accumulate, b.read(accumulator));
    const sum = lowerCast(b, target, accumulate, plan.node.dtype, false, total);
    const place = placeFor([rowAxis, columnAxis], undefined, (node) =>
      node.id === plan.node.id ? sum : undefined,
    );
    const values = new ValueLowering(place);
    plan.roots.forEach(({ node, index }, i) => {
      storeAt(place, outputs[i] as string, node, index, values.value(node, index));
    });
  });
  return frame.finish(names, { lanes: tile.threads, group: tile.threads, grid });
}

/** Whether a problem fills a unit's tiles well enough; sizes that are unknown count as large. */
const suitsUnit = (...extents: readonly Expression[]): boolean =>
  extents.every((extent) => typeof extent !== 'number' || extent >= leastOnUnit);

const leastOnUnit = 32;

function tileAxis(name: string, count: number, extent: Expression, base: Expression): TileAxis {
  const whole = typeof extent === 'number' && extent % count === 0;
  return whole ? { name, count } : { name, count, tail: subtract(extent, base) };
}
