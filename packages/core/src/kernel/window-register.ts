/**
 * The register-tile kernel of windows: rows of the tile are output channels, columns are
 * neighbouring outputs along the last axis; the depth is channels times kernel elements.
 */
import type { DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  lessThan,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { computeType, fromMemory, lowerBinary, lowerCast, rawType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { identityOf } from './identity.js';
import { dividesBy, type LeftPanels } from './left-pack.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks, writeTiles } from './nest.js';
import { eachRow } from './tile-epilogue.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';
import { flatten } from './view-index.js';
import type { WindowCopy } from './window-copy.js';
import {
  batchName,
  copyType,
  groupName,
  inGraphOrder,
  type Spatial,
  spatialName,
  type WindowPlan,
} from './window-plan.js';
import { storeWindow } from './window-store.js';

const rowName = 'row';
const stepName = 'step';

export function writeWindowRegister(
  plan: WindowPlan,
  target: Target,
  names: KernelNames,
  copy: WindowCopy | undefined,
  panels: LeftPanels | undefined,
): LoweredKernel {
  return new WindowWriter(plan, target, names, copy, panels).write();
}

class WindowWriter {
  private readonly plan: WindowPlan;
  private readonly names: KernelNames;
  private readonly copy: WindowCopy | undefined;
  private readonly frame: KernelFrame;
  private readonly builder: KernelBuilder;
  private readonly bindings = new Bindings();
  private readonly source: string;
  private readonly panels: LeftPanels | undefined;
  private readonly weights: string | undefined;
  private readonly outputs: readonly string[];
  private readonly type;
  private readonly columns: number;

  constructor(
    plan: WindowPlan,
    target: Target,
    names: KernelNames,
    copy: WindowCopy | undefined,
    panels: LeftPanels | undefined,
  ) {
    this.plan = plan;
    this.names = names;
    this.copy = copy;
    this.frame = new KernelFrame(plan.step, target);
    this.builder = this.frame.builder;
    this.type = plan.accumulate === 'bool' ? 'u32' : computeType(plan.accumulate);
    this.source =
      copy === undefined
        ? (this.frame.input(plan.x) as string)
        : this.frame.workspace(copy.workspace, copyType(plan), 'read');
    this.panels = panels;
    this.weights =
      panels === undefined
        ? undefined
        : this.frame.workspace(panels.workspace, this.type as DType, 'read');
    this.outputs = plan.step.outputs.map((node) => this.frame.output(node));
    this.columns = plan.tile.columns;
  }

  write(): LoweredKernel {
    const { plan, builder: b } = this;
    const { rows } = plan.tile;
    const outer = plan.spatial.slice(0, -1);
    const blocks = ceilDivide(plan.rows, rows);
    const tasks = [
      axis(batchName, plan.batch),
      axis(groupName, plan.groups),
      axis('rowBlock', blocks),
      ...outer.map((s, i) => axis(spatialName(i), s.out)),
    ];
    const grid = writeTasks(b, tasks, 1, this.bindings, () => {
      const start = multiply(this.bound('rowBlock'), rows);
      this.writeRows(start, rows);
    });
    return this.frame.finish(this.names, { lanes: plan.tile.lanes, group: 1, grid });
  }

  private bound(name: string): Expression {
    return this.bindings.get(name) ?? 0;
  }

  /** A block of rows; the last one is its own code where its height is known, else masked. */
  private writeRows(start: Expression, rows: number): void {
    const total = this.plan.rows;
    if (typeof total !== 'number') {
      this.writeColumns(start, rows, rows === 1 ? undefined : subtract(total, start));
      return;
    }
    const rest = total % rows;
    if (this.panels !== undefined) {
      this.writeColumns(start, rows, rest === 0 ? undefined : subtract(total, start));
      return;
    }
    const whole = (): void => this.writeColumns(start, rows, undefined);
    const short = (): void => this.writeColumns(start, rest, undefined);
    if (rest === 0) whole();
    else if (total < rows) short();
    else this.builder.if(lessThan(subtract(total, start), rows), short, whole);
  }

  private writeColumns(row: Expression, height: number, rowTail: Expression | undefined): void {
    const { out } = this.plan.spatial.at(-1) as Spatial;
    const write = (column: Expression, tail: Expression | undefined): void => {
      const accumulator = this.accumulate(row, height, column, rowTail, tail);
      this.store(accumulator, row, height, column, rowTail, tail);
    };
    // The copy may be read beyond its rows: one code for whole tiles and the last one.
    if (this.copy === undefined) writeTiles(this.builder, 0, out, this.columns, write);
    else {
      this.builder.for(0, out, this.columns, (column) => {
        write(column, dividesBy(out, this.columns) ? undefined : subtract(out, column));
      });
    }
  }

  private accumulate(
    row: Expression,
    height: number,
    column: Expression,
    rowTail: Expression | undefined,
    tail: Expression | undefined,
  ): Variable {
    const { builder: b, plan } = this;
    const { kind } = plan.node.attributes;
    const type = { dtype: this.type, shape: [height, this.columns] };
    const identity = identityOf(kind === 'convolve' ? 'sum' : kind, plan.accumulate);
    const initial = b.broadcast(b.literal(this.type, identity), type.shape);
    const accumulator = b.variable(initial, type);
    const panel = this.panels?.address(this.bindings, this.bound('rowBlock'));
    b.for(0, plan.depth, 1, (depth) => {
      this.walkKernel(0, [], (taps) => {
        const x = this.inputTile(depth, row, column, taps, tail);
        if (kind === 'convolve') {
          const w = this.weightTile(depth, row, height, taps, rowTail, panel);
          b.assign(accumulator, b.dot(w, x, b.read(accumulator)));
        } else b.assign(accumulator, this.combine(b.read(accumulator), x));
      });
    });
    return accumulator;
  }

  private combine(old: Value, x: Value): Value {
    const { builder: b, plan } = this;
    const { kind } = plan.node.attributes;
    const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
    if (name === 'convolve') return old;
    if (plan.accumulate === 'bool') return b.binary(name, old, x);
    return lowerBinary(b, this.frame.target, name, plan.accumulate, old, x, () => {});
  }

  private walkKernel(
    axis: number,
    taps: readonly Expression[],
    body: (taps: readonly Expression[]) => void,
  ): void {
    const s = this.plan.spatial[axis];
    if (s === undefined) {
      body(taps);
      return;
    }
    this.builder.for(0, s.kernel, 1, (tap) => this.walkKernel(axis + 1, [...taps, tap], body));
  }

  /** Inputs of neighbouring outputs for one kernel element: [1, columns]. */
  private inputTile(
    depth: Expression,
    row: Expression,
    column: Expression,
    taps: readonly Expression[],
    tail: Expression | undefined,
  ): Value {
    const { builder: b, plan } = this;
    const channel =
      plan.weights === undefined ? row : add(multiply(this.bound(groupName), plan.depth), depth);
    const padded = plan.spatial.map((s, axis) => {
      const shift = multiply(taps[axis] as Expression, s.kernelDilation);
      if (axis === plan.spatial.length - 1) return shift;
      return add(multiply(this.bound(spatialName(axis)), s.stride), shift);
    });
    const address = this.inputAddress(channel, padded, column);
    const shape = [1, this.columns];
    const limited = this.copy === undefined && tail !== undefined;
    const access = { buffer: this.source, address, strides: [0, 1] };
    const dtype = this.copy === undefined ? plan.x.dtype : copyType(plan);
    const raw = b.load(
      { dtype: rawType(dtype), shape },
      limited ? { ...access, limits: [{}, { high: tail }] } : access,
    );
    if (this.copy !== undefined) return raw;
    return this.fromSource(raw);
  }

  private fromSource(raw: Value): Value {
    const { builder: b, plan } = this;
    const value = fromMemory(b, plan.x.dtype, raw);
    if (plan.accumulate === 'bool') return b.convert(value, 'u32');
    return lowerCast(b, this.frame.target, plan.x.dtype, plan.accumulate, false, value);
  }

  private inputAddress(
    channel: Expression,
    padded: readonly Expression[],
    column: Expression,
  ): Expression {
    const { plan, copy } = this;
    const last = plan.spatial.at(-1) as Spatial;
    const shift = padded.at(-1) as Expression;
    const outer = padded.slice(0, -1);
    if (copy === undefined) {
      const inner = inGraphOrder(plan.order, [...outer, add(column, shift)]);
      return flatten(plan.x.shape, [this.bound(batchName), channel, ...inner]);
    }
    const { layout } = copy;
    const shape = [plan.batch, plan.channels, ...layout.outer, layout.phases, layout.columns];
    const phase = modulo(shift, last.stride);
    const moved = add(column, floorDivide(shift, last.stride));
    return flatten(shape, [this.bound(batchName), channel, ...outer, phase, moved]);
  }

  private weightTile(
    depth: Expression,
    row: Expression,
    height: number,
    taps: readonly Expression[],
    rowTail: Expression | undefined,
    panel: Expression | undefined,
  ): Value {
    const { builder: b, plan } = this;
    const weights = plan.weights as Node;
    if (this.weights !== undefined && panel !== undefined) {
      const shape = [plan.depth, ...plan.spatial.map((s) => s.kernel)];
      const address = add(panel, multiply(flatten(shape, [depth, ...taps]), height));
      const access = { buffer: this.weights, address, strides: [1, 0] };
      return b.load({ dtype: this.type, shape: [height, 1] }, access);
    }
    const lane = height === 1 ? 0 : variable(rowName, height);
    const out = add(multiply(this.bound(groupName), plan.rows), row, lane);
    const axis: TileAxis = { name: rowName, count: height };
    const place: Place = {
      builder: b,
      target: this.frame.target,
      bufferOf: (node) => this.frame.input(node),
      finish: (e) => e,
      tile: [
        rowTail === undefined ? axis : { ...axis, tail: rowTail },
        { name: stepName, count: 1 },
      ],
      known: () => undefined,
      failBase: this.names.failBase,
    };
    const value = new ValueLowering(place).value(weights, [
      out,
      depth,
      ...inGraphOrder(plan.order, taps),
    ]);
    const cast = lowerCast(b, this.frame.target, weights.dtype, plan.accumulate, false, value);
    return b.broadcast(cast, [height, 1]);
  }

  private store(
    accumulator: Variable,
    row: Expression,
    height: number,
    column: Expression,
    rowTail: Expression | undefined,
    tail: Expression | undefined,
  ): void {
    const { builder: b, plan } = this;
    const lanes: TileAxis = { name: laneName, count: this.columns };
    const columns = tail === undefined ? lanes : { ...lanes, tail };
    const plain = plan.roots.every(({ node }) => node.id === plan.node.id);
    if (height === 1 || (plain && tail === undefined && rowTail === undefined)) {
      const rows: TileAxis = { name: rowName, count: height };
      const axes = [rowTail === undefined ? rows : { ...rows, tail: rowTail }, columns];
      const at = add(row, height === 1 ? 0 : variable(rowName, height));
      this.storeAll(b.read(accumulator), axes, at, column);
      return;
    }
    eachRow(this.frame, accumulator, rowTail, (r, content) =>
      this.storeAll(content, [columns], add(row, r), column),
    );
  }

  private storeAll(
    total: Value,
    axes: readonly TileAxis[],
    row: Expression,
    column: Expression,
  ): void {
    const { plan, frame, names, bindings, outputs } = this;
    storeWindow({ plan, frame, names, bindings, outputs }, total, axes, row, column);
  }
}
