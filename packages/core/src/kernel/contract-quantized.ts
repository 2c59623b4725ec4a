/**
 * Few rows times constant weights of one byte or half of one: levels and scales laid out once in
 * panels of columns, [panel, depth, columns] and [panel, group, columns]; a group's sum is scaled
 * at its end. Levels of four bits come eight steps of a column in a word, so that a vector of words
 * gives eight vectors of levels by shifts.
 */
import {
  add,
  type Expression,
  floorDivide,
  multiply,
  type Size,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Axis } from './axes.js';
import type { Value } from './builder.js';
import type { ContractPlan, MergedGroups } from './contract-plan.js';
import { type ContractSite, placeIn, storeContracted } from './contract-store.js';
import { lowerCast, rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeLoops, writeTasks } from './nest.js';
import { type QuantizedOperand, quantizedRight } from './quantized-operand.js';
import { bytesAhead } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';

/** Rows up to which reading a byte for a weight is what counts. */
const mostRows = 4;
/** Vectors of a panel: enough sums at once that none waits for its last addition. */
const vectorsPerPanel = 4;
const tasksPerCore = 4;

/** Steps of the depth whose levels of four bits share a word. */
const stepsPerWord = 8;
const nibble = 4;

interface Sizes {
  readonly lanes: number;
  readonly columns: number;
  readonly panels: number;
  readonly depth: Axis;
  readonly steps: number;
  readonly rows: number;
  readonly column: Axis;
}

/** The kernels; undefined where the operand or the shape is another. */
export function lowerQuantized(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] | undefined {
  const sizes = sizesOf(plan, groups, target);
  if (sizes === undefined) return undefined;
  const operand = quantizedRight(plan, target);
  if (operand === undefined) return undefined;
  const { panels, steps, columns } = sizes;
  const levels: Workspace = space(0, (panels * steps * columns * operand.bits) / 8);
  const perGroup = panels * (steps / operand.group) * columns * 4;
  const scales: Workspace = space(1, perGroup);
  const zeros = operand.zeros === undefined ? undefined : space(2, perGroup);
  const write = (to: Workspace, what: Part): LoweredKernel =>
    writePanels(plan, target, names, sizes, operand, to, what);
  return [
    write(levels, 'levels'),
    write(scales, 'scales'),
    ...(zeros === undefined ? [] : [write(zeros, 'zeros')]),
    writeProduct(plan, groups, target, names, sizes, operand, { levels, scales, zeros }),
  ];
}

type Part = 'levels' | 'scales' | 'zeros';

interface Spaces {
  readonly levels: Workspace;
  readonly scales: Workspace;
  readonly zeros: Workspace | undefined;
}

const space = (id: number, bytes: Size): Workspace => ({
  kind: 'workspace',
  id,
  bytes,
  constant: true,
});

function sizesOf(plan: ContractPlan, groups: MergedGroups, target: Target): Sizes | undefined {
  const { accumulate } = plan.node.attributes;
  const { batch, rows, columns, depth } = plan.groups;
  const lanes = target.vectorBytes / 4;
  const [step, column] = [depth[0], columns[0]];
  const isSimple = batch.length === 0 && columns.length === 1 && depth.length === 1;
  if (!isSimple || accumulate !== 'f32' || lanes < 4) return undefined;
  if (step === undefined || column === undefined || groups.rows.length > 1) return undefined;
  const count = rows.reduce<Size>((all, axis) => multiply(all, axis.extent), 1);
  if (typeof count !== 'number' || count > mostRows) return undefined;
  if (typeof step.extent !== 'number' || typeof column.extent !== 'number') return undefined;
  if (step.extent < lanes || column.extent < lanes) return undefined;
  const wide = lanes * Math.min(vectorsPerPanel, Math.ceil(column.extent / lanes));
  const panels = Math.ceil(column.extent / wide);
  return { lanes, columns: wide, panels, depth: step, steps: step.extent, rows: count, column };
}

/** Memory of levels: bytes, or words of eight. */
const levelType = ({ bits, isSigned }: QuantizedOperand): 'i32' | 'i8' | 'u8' =>
  bits === nibble ? 'i32' : isSigned ? 'i8' : 'u8';

/** Levels, scales or zeros in panels; 0 beyond the last column. */
function writePanels(
  plan: ContractPlan,
  target: Target,
  names: KernelNames,
  sizes: Sizes,
  operand: QuantizedOperand,
  to: Workspace,
  what: Part,
): LoweredKernel {
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { columns, column, depth } = sizes;
  const isWords = what === 'levels' && operand.bits === nibble;
  const dtype = what === 'levels' ? levelType(operand) : 'f32';
  const buffer = frame.workspace(to, dtype, 'write');
  const each = what !== 'levels' ? operand.group : isWords ? stepsPerWord : 1;
  const bindings = new Bindings();
  const tasks: Axis[] = [{ name: 'panel', extent: sizes.panels, reduced: false }];
  const line: Axis = { name: 'line', extent: sizes.steps / each, reduced: false };
  const source = operand[what] as Node;
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    const panel = bindings.get('panel') as Expression;
    const first = multiply(panel, columns);
    writeLoops(b, [line], bindings, () => {
      const at = bindings.get('line') as Expression;
      const row = add(multiply(panel, sizes.steps / each), at);
      const access = { buffer, address: multiply(row, columns), strides: [1] };
      if (what !== 'levels') b.store(access, valueAt(multiply(at, each)));
      else if (isWords) b.store(access, wordAt(multiply(at, each)));
      else b.store(access, b.convert(valueAt(at), rawType(dtype)));
    });

    function valueAt(step: Expression): Value {
      const lanes: TileAxis = { name: laneName, count: columns };
      const isWhole = (column.extent as number) % columns === 0;
      const tail = subtract(column.extent, first);
      const values: ValueLowering = new ValueLowering({
        builder: b,
        target,
        bufferOf: (node) => frame.input(node),
        finish: (e) =>
          substitute(e, (name) => {
            if (name === column.name) return add(first, variable(laneName, columns));
            return name === depth.name ? step : undefined;
          }),
        tile: [isWhole ? lanes : { ...lanes, tail }],
        known: (node, index) => {
          if (node.id !== operand.product.id) return undefined;
          const value = values.value(source, index);
          return lowerCast(b, target, source.dtype, 'f32', false, value);
        },
        failBase: names.failBase,
      });
      const value = values.value(plan.right.node, plan.right.index);
      const mask = values.tailMask();
      const kept = mask === undefined ? value : b.select(mask, value, b.literal('f32', 0));
      return b.broadcast(kept, [columns]);
    }

    /** Levels of eight steps from `step` on, the first in the lowest bits. */
    function wordAt(step: Expression): Value {
      let word: Value | undefined;
      for (let i = 0; i < stepsPerWord; i++) {
        const level = b.convert(valueAt(add(step, i)), 'i32');
        const low = b.and(level, b.literal('i32', 2 ** nibble - 1));
        const placed = b.binary('shiftLeft', low, b.literal('i32', nibble * i));
        word = word === undefined ? placed : b.or(word, placed);
      }
      return word as Value;
    }
  });
  const packNames = { ...names, name: `${names.name}_${what}` };
  const cost = { flops: 0, bytes: multiply(2, to.bytes) };
  const shape = { lanes: sizes.lanes, group: 1, grid };
  return frame.finish(packNames, shape, { once: true, cost });
}

function writeProduct(
  plan: ContractPlan,
  groups: MergedGroups,
  target: Target,
  names: KernelNames,
  sizes: Sizes,
  operand: QuantizedOperand,
  spaces: Spaces,
): LoweredKernel {
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { columns, rows, steps, panels } = sizes;
  const { group } = operand;
  const isWords = operand.bits === nibble;
  const dtype = levelType(operand);
  const from = frame.workspace(spaces.levels, dtype, 'read');
  const factors = frame.workspace(spaces.scales, 'f32', 'read');
  const zeros = frame.workspaceOf(spaces.zeros, 'f32');
  const outputs = plan.step.outputs.map((node) => frame.output(node));
  const bindings = new Bindings();
  const site: ContractSite = { plan, groups, frame, names, bindings, outputs };
  const count = Math.min(panels, tasksPerCore * target.cores);
  const task: Axis = { name: 'panelBlock', extent: count, reduced: false };
  const type = { dtype: 'f32' as const, shape: [rows, columns] };
  const nothing = (): Value => b.broadcast(b.literal('f32', 0), type.shape);
  // Bytes come one step at a time, words eight.
  const stride = isWords ? stepsPerWord : 1;
  const ahead = bytesAhead / (isWords ? 4 : 1);
  const grid = writeTasks(b, [task], 1, bindings, () => {
    const number = bindings.get('panelBlock') as Expression;
    // Tasks differ by one panel at most.
    const start = floorDivide(multiply(number, panels), count);
    const end = floorDivide(multiply(add(number, 1), panels), count);
    b.for(start, end, 1, (panel) => {
      const total = b.variable(nothing(), type);
      b.for(0, steps / group, 1, (number) => {
        const sum = b.variable(nothing(), type);
        const from0 = multiply(number, group);
        const ofGroup = multiply(add(multiply(panel, steps / group), number), columns);
        const row = { dtype: 'f32', shape: [1, columns] } as const;
        const zero =
          zeros === undefined
            ? undefined
            : b.load(row, { buffer: zeros, address: ofGroup, strides: [0, 1] });
        const options = isWords ? {} : { unroll: 4 };
        b.for(
          from0,
          add(from0, group),
          stride,
          (step) => {
            const row = floorDivide(add(multiply(panel, steps), step), stride);
            const address = multiply(row, columns);
            const access = { buffer: from, address, strides: [0, 1], ahead };
            const raw = b.load({ dtype: rawType(dtype), shape: [1, columns] }, access);
            for (let i = 0; i < stride; i++) {
              const level = b.convert(isWords ? levelOf(raw, i) : raw, 'f32');
              const right = zero === undefined ? level : b.subtract(level, zero);
              b.assign(sum, b.dot(leftAt(add(step, i)), right, b.read(sum)));
            }
          },
          options,
        );
        const access = { buffer: factors, address: ofGroup, strides: [1] };
        const scale = b.load({ dtype: 'f32', shape: [columns] }, access);
        const wide = b.broadcast(scale, type.shape, 1);
        b.assign(total, b.multiplyAdd(b.read(sum), wide, b.read(total)));
      });
      const first = multiply(panel, columns);
      const lanes: TileAxis = { name: laneName, count: columns };
      const isWhole = (sizes.column.extent as number) % columns === 0;
      const axis = isWhole ? lanes : { ...lanes, tail: subtract(sizes.column.extent, first) };
      const bounds = [
        rowBound(),
        { axis: groups.columns.at(-1)?.name, value: add(first, variable(laneName, columns)) },
      ];
      storeContracted(site, b.read(total), [{ name: rowName, count: rows }, axis], bounds);
    });
  });
  return frame.finish(names, { lanes: sizes.lanes, group: 1, grid });

  /** Level of one of the steps of a word: its bits up to the sign, then down with or without. */
  function levelOf(word: Value, step: number): Value {
    if (!operand.isSigned) {
      const down = b.literal('i32', nibble * step);
      const lowered = step === 0 ? word : b.binary('shiftRight', word, down);
      return b.and(lowered, b.literal('i32', 2 ** nibble - 1));
    }
    const highest = stepsPerWord - 1;
    const up = b.literal('i32', nibble * (highest - step));
    const raised = step === highest ? word : b.binary('shiftLeft', word, up);
    return b.binary('shiftRight', raised, b.literal('i32', nibble * highest));
  }

  function rowBound() {
    const value = rows === 1 ? 0 : variable(rowName, rows);
    return { axis: groups.rows.at(-1)?.name, value };
  }

  function leftAt(step: Expression): Value {
    const axes = [
      { name: rowName, count: rows },
      { name: 'step', count: 1 },
    ];
    const bounds = [rowBound(), { axis: groups.depth[0]?.name, value: step }];
    const values = new ValueLowering(placeIn(site, axes, bounds));
    return b.broadcast(values.value(plan.left.node, plan.left.index), [rows, 1]);
  }
}

const rowName = 'row';
