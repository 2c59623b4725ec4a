/**
 * The group kernel for targets with threads: a task makes a tile of the result; tiles of both
 * operands along the depth are shared by the group; the accumulator tile is spread over threads.
 */
import {
  add,
  ceilDivide,
  type Expression,
  multiply,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Value } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { computeType, lowerCast, settle } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, storeAt } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import { type Place, type TileAxis, ValueLowering } from './value.js';

export interface GroupTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threads: number;
}

/** The largest usual tile whose operands fit the shared memory and whose group is allowed. */
export function groupTile(target: Target, bytes: number): GroupTile {
  const tiles: readonly GroupTile[] = [
    { rows: 64, columns: 64, depth: 16, threads: 256 },
    { rows: 32, columns: 32, depth: 16, threads: 64 },
    { rows: 16, columns: 16, depth: 8, threads: 32 },
  ];
  const fits = (tile: GroupTile): boolean =>
    (tile.rows + tile.columns) * tile.depth * bytes <= target.sharedBytes &&
    tile.threads <= target.maxGroup;
  return tiles.find(fits) ?? { rows: 8, columns: 8, depth: 4, threads: 16 };
}

const rowName = 'row';
const stepName = 'step';

export function writeGroupContract(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  const { accumulate } = plan.node.attributes;
  const type = computeType(accumulate);
  const tile = groupTile(target, /64$/.test(type) ? 8 : 4);
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
  const axis = (name: string, extent: Expression) => ({ name, extent, reduced: false });
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
      (step: Expression | undefined) =>
      (name: string): Expression | undefined => {
        if (name === rows?.name) return add(row, variable(rowName, tile.rows));
        if (name === columns?.name) return add(column, variable(laneName, tile.columns));
        if (name === depth?.name && step !== undefined) {
          return add(step, variable(stepName, tile.depth));
        }
        return groups.dropped.has(name) ? 0 : bindings.get(name);
      };
    const placeFor = (
      axes: readonly TileAxis[],
      step: Expression | undefined,
      known: Place['known'],
    ): Place => ({
      builder: b,
      target,
      bufferOf: (node) => frame.input(node),
      finish: (e) => substitute(e, replacement(step)),
      tile: axes,
      known,
      failBase: names.failBase,
    });
    const operand = (node: Node, index: readonly Expression[], place: Place): Value => {
      const values = new ValueLowering(place);
      const value = lowerCast(b, target, node.dtype, accumulate, false, values.value(node, index));
      const wide = b.broadcast(
        value,
        place.tile.map((a) => a.count),
      );
      // A plain load of a tile gives 0 beyond the edge; one element or a computed value does not.
      const isPlain = frame.input(node) !== undefined && value.type.shape.length > 0;
      const mask = isPlain ? undefined : values.tailMask();
      return mask === undefined ? wide : b.select(mask, wide, b.literal(type, 0));
    };
    const shape = [tile.rows, tile.columns];
    const zero = b.broadcast(b.literal(type, 0), shape);
    const accumulator = b.variable(zero, { dtype: type, shape });
    writeLoops(b, groups.depth.slice(0, -1), bindings, () => {
      b.for(0, depthExtent, tile.depth, (step) => {
        const depthAxis: TileAxis = {
          ...tileAxis(stepName, tile.depth, depthExtent, step),
          zeroed: true,
        };
        const none: Place['known'] = () => undefined;
        const left = placeFor([rowAxis, depthAxis], step, none);
        const right = placeFor([depthAxis, columnAxis], step, none);
        const a = operand(plan.left.node, plan.left.index, left);
        const c = operand(plan.right.node, plan.right.index, right);
        b.assign(accumulator, b.dot(a, c, b.read(accumulator)));
      });
    });
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

function tileAxis(name: string, count: number, extent: Expression, base: Expression): TileAxis {
  const whole = typeof extent === 'number' && extent % count === 0;
  return whole ? { name, count } : { name, count, tail: subtract(extent, base) };
}
