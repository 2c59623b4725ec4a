/**
 * Values of graph nodes at an index, as tile operations: views become index arithmetic, padding
 * becomes masks, everything elementwise becomes operations on a tile. This is where fusion is.
 */
import type { DType } from '../base/dtype.js';
import { internal } from '../base/errors.js';
import {
  add,
  type Expression,
  equal,
  floorDivide,
  keyOf,
  modulo,
  multiply,
  product,
  provablyAtLeast,
  provablyLess,
  type Size,
  subtract,
} from '../base/expression.js';
import { readElement } from '../base/host-tensor.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { isBinaryName, isUnaryName } from '../graph/ops.js';
import type { KernelBuilder, Value } from './builder.js';
import {
  computeType,
  fromMemory,
  literalOf,
  lowerBinary,
  lowerBitcast,
  lowerCast,
  lowerUnary,
  lowerUnpack,
  perByte,
  rawType,
} from './elementwise.js';
import { emitIndex } from './index-arithmetic.js';
import { failReasons } from './lowered.js';
import type { Access } from './tile.js';
import {
  aheadOf,
  isTurned,
  linearInLanes,
  loadLimits,
  type Squares,
  type TileAxis,
} from './tile-limits.js';
import { madeTogether } from './together.js';
import { flatten, viewIndex } from './view-index.js';

/** Where a value is wanted. */
export interface Place {
  readonly builder: KernelBuilder;
  readonly target: Target;
  /** Buffer parameter that holds a node, for nodes in memory. */
  bufferOf(node: Node): string | undefined;
  /** Replaces iteration variables by loop variables and the lane. */
  finish(e: Expression): Expression;
  /** Axes of the tiles; empty for uniform code. Every value has this shape or is uniform. */
  readonly tile: readonly TileAxis[];
  /** A value that is already there: a row's reduction, the accumulator of a contraction. */
  known(node: Node, index: readonly Expression[]): Value | undefined;
  readonly failBase: number;
  /** Bytes by which a long walk may ask for its elements before it needs them. */
  readonly ahead?: number;
  /** Absent: a tile that is turned is one square. */
  readonly squares?: Squares;
  /** Called with every address and condition, for merging axes. */
  record?(e: Expression): void;
  /** Called with what decides a condition: where it is 0, the condition changes. */
  recordChange?(e: Expression): void;
}

export class ValueLowering {
  private readonly place: Place;
  private readonly known = new Map<string, Value>();
  private readonly shape: readonly number[];

  /** For one scope of the kernel: values are shared within it. */
  constructor(place: Place) {
    this.place = place;
    this.shape = place.tile.map((axis) => axis.count);
  }

  /** Index-typed value of an expression over iteration variables. */
  index(e: Expression): Value {
    this.place.record?.(e);
    return this.finishedIndex(this.place.finish(e));
  }

  private finishedIndex(e: Expression): Value {
    return emitIndex(this.place.builder, e, (name) => this.laneValue(name));
  }

  /** Lane numbers along a tile axis, in the tile's shape. */
  private laneValue(name: string): Value | undefined {
    const { builder, tile } = this.place;
    const axis = tile.findIndex((candidate) => candidate.name === name);
    if (axis < 0) return undefined;
    const lanes = builder.iota(tile[axis]?.count as number);
    return builder.broadcast(lanes, this.shape, axis);
  }

  /** left < right; undefined where it always is. */
  private condition(left: Expression, right: Expression): Value | undefined {
    return this.isBelow(left, right) ? undefined : this.below(left, right);
  }

  /** Whether left < right for every index, or for every one of this place. */
  private isBelow(left: Expression, right: Expression): boolean {
    const { finish } = this.place;
    return provablyLess(left, right) || provablyLess(finish(left), finish(right));
  }

  private isAtLeast(left: Expression, right: Expression): boolean {
    const { finish } = this.place;
    return provablyAtLeast(left, right) || provablyAtLeast(finish(left), finish(right));
  }

  /** left < right, as a bool. */
  below(left: Expression, right: Expression): Value {
    this.place.recordChange?.(subtract(left, right));
    return this.place.builder.less(this.index(left), this.index(right));
  }

  /** left ≥ right, as a bool. */
  atLeast(left: Expression, right: Expression): Value {
    this.place.recordChange?.(subtract(left, right));
    return this.place.builder.lessEqual(this.index(right), this.index(left));
  }

  private both(a: Value | undefined, b: Value | undefined): Value | undefined {
    if (a === undefined || b === undefined) return a ?? b;
    return this.place.builder.and(a, b);
  }

  /** Lanes that count, as a mask; undefined where all do. */
  tailMask(): Value | undefined {
    const { builder, tile } = this.place;
    return tile.reduce<Value | undefined>((mask, { name, head, tail }) => {
      const lane = (): Value => this.laneValue(name) as Value;
      const from =
        head === undefined
          ? mask
          : this.both(mask, builder.lessEqual(builder.scalar(head), lane()));
      return tail === undefined
        ? from
        : this.both(from, builder.less(lane(), builder.scalar(tail)));
    }, undefined);
  }

  private fail(when: Value, guard: Value | undefined, reason: keyof typeof failReasons): void {
    const { builder, failBase } = this.place;
    const counted = this.both(guard, this.tailMask());
    const condition = counted === undefined ? when : builder.and(counted, when);
    builder.fail(condition, failBase + failReasons[reason]);
  }

  /** Elements of a buffer in memory at an index, where the guard allows. */
  private fetch(node: Node, buffer: string, index: readonly Expression[], guard?: Value): Value {
    const flat = flatten(node.shape, index);
    this.place.record?.(flat);
    return this.fetchAt(node, buffer, this.place.finish(flat), guard);
  }

  /** Elements at an address over loop variables and lanes. */
  private fetchAt(node: Node, buffer: string, address: Expression, guard?: Value): Value {
    const { builder, tile } = this.place;
    const memory = rawType(node.dtype);
    const linear = linearInLanes(address, tile);
    if (linear === undefined)
      return this.fetchEach(node, buffer, this.finishedIndex(address), guard);
    const moving = linear.strides.some((stride) => !equal(stride, 0));
    const uniform = !moving && (guard?.type.shape.length ?? 0) === 0;
    const shape = uniform ? [] : this.shape;
    const mask = guard === undefined ? undefined : builder.broadcast(guard, shape);
    const { squares } = this.place;
    if (mask === undefined && isTurned(tile, linear.strides, squares)) {
      const [down, across] = [...linear.strides] as [Expression, Expression];
      const hint = typeof across === 'number' ? across * (squares?.rowsAhead ?? 0) : 0;
      const access = {
        buffer,
        address: linear.base,
        strides: [across, down],
        ...(hint > 0 ? { ahead: hint } : {}),
      };
      const type = { dtype: memory, shape: shape.toReversed() };
      return fromMemory(builder, node.dtype, builder.transpose(builder.load(type, access)));
    }
    const ahead = uniform ? {} : aheadOf(this.place.ahead, node.dtype, linear.strides);
    const access: Access = {
      buffer,
      address: linear.base,
      strides: uniform ? [] : linear.strides,
      ...ahead,
      ...(uniform ? {} : loadLimits(tile, linear.strides)),
      ...(mask === undefined ? {} : { mask: mask.id }),
    };
    return fromMemory(builder, node.dtype, builder.load({ dtype: memory, shape }, access));
  }

  /** Elements at positions (a tile of the index type). */
  private fetchEach(node: Node, buffer: string, position: Value, guard?: Value): Value {
    const { builder } = this.place;
    const wide = guard === undefined ? undefined : builder.broadcast(guard, this.shape);
    const mask = this.both(wide, this.tailMask());
    const raw = builder.gather(rawType(node.dtype), buffer, position, mask);
    return fromMemory(builder, node.dtype, raw);
  }

  /** The value of `node` at `index` (one expression per axis); garbage where guard is false. */
  value(node: Node, index: readonly Expression[], guard?: Value): Value {
    const key = `${node.id}@${index.map(keyOf).join(',')}?${guard?.id ?? ''}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const made = this.make(node, index, guard);
    this.known.set(key, made);
    return made;
  }

  private make(node: Node, index: readonly Expression[], guard?: Value): Value {
    const { builder, target } = this.place;
    const ready = this.place.known(node, index);
    if (ready !== undefined) return ready;
    const buffer = this.place.bufferOf(node);
    if (node.op === 'constant' && node.attributes.tensor.data.length === 1) {
      return literalOf(builder, node.dtype, readElement(node.attributes.tensor, 0));
    }
    if (buffer !== undefined) return this.fetch(node, buffer, index, guard);
    const whole = madeTogether(this.place, node, (x) => this.value(x, index, guard));
    if (whole !== undefined) return whole;
    if (isUnaryName(node.op)) {
      const x = node.inputs[0] as Node;
      return lowerUnary(builder, target, node.op, x.dtype, this.value(x, index, guard));
    }
    if (isBinaryName(node.op)) {
      const [left, right] = node.inputs.map((x) => this.value(x, index, guard)) as [Value, Value];
      const { dtype } = node.inputs[0] as Node;
      return lowerBinary(builder, target, node.op, dtype, left, right, (when) =>
        this.fail(when, guard, 'divisionByZero'),
      );
    }
    return this.makeOther(node, index, guard);
  }

  private makeOther(node: Node, index: readonly Expression[], guard?: Value): Value {
    const { builder, target } = this.place;
    const x = node.inputs[0] as Node;
    switch (node.op) {
      case 'size':
        return builder.convert(this.index(node.attributes.value), computeType(node.dtype));
      case 'iota': {
        const position = this.index(index[node.attributes.axis] as Expression);
        return lowerCast(builder, target, builder.indexType, node.dtype, false, position);
      }
      case 'select': {
        const [condition, a, b] = node.inputs as [Node, Node, Node];
        return builder.select(
          this.value(condition, index, guard),
          this.value(a, index, guard),
          this.value(b, index, guard),
        );
      }
      case 'cast': {
        const { dtype, saturate } = node.attributes;
        return lowerCast(builder, target, x.dtype, dtype, saturate, this.value(x, index, guard));
      }
      case 'bitcast':
        return lowerBitcast(builder, target, x.dtype, node.dtype, this.value(x, index, guard));
      case 'unpack':
        return this.unpack(node.dtype, x, index, guard);
      case 'gather':
        return this.gather(node.attributes.axis, node.inputs as [Node, Node], index, guard);
      case 'concat':
        return this.concat(node.attributes.axis, node.inputs, index, guard);
      case 'pad':
        return this.pad(node, index, guard);
      default: {
        const inner = viewIndex(node, index);
        if (inner === undefined) throw internal(`${node.op} inside a fused kernel`);
        return this.value(x, inner, guard);
      }
    }
  }

  private unpack(
    dtype: DType,
    x: Node,
    index: readonly Expression[],
    guard: Value | undefined,
  ): Value {
    const { builder } = this.place;
    const last = index.at(-1) as Expression;
    const count = perByte(dtype);
    const byte = this.value(x, [...index.slice(0, -1), floorDivide(last, count)], guard);
    const which = this.index(modulo(last, count));
    return lowerUnpack(builder, dtype, byte, which);
  }

  private concat(
    axis: number,
    pieces: readonly Node[],
    index: readonly Expression[],
    guard: Value | undefined,
  ): Value {
    const { builder } = this.place;
    const position = index[axis] as Expression;
    let start: Expression = 0;
    let result: Value | undefined;
    for (const piece of pieces) {
      const size = piece.shape[axis] as Size;
      const end = add(start, size);
      const first = start;
      start = end;
      if (this.isBelow(position, first) || this.isAtLeast(position, end)) continue;
      const below = this.condition(position, end);
      const above = this.isAtLeast(position, first) ? undefined : this.atLeast(position, first);
      const inside = this.both(above, below);
      const inner = index.map((i, at) => (at === axis ? subtract(position, first) : i));
      const value = this.value(piece, inner, this.both(guard, inside));
      result =
        result === undefined || above === undefined ? value : builder.select(above, value, result);
    }
    const [one] = pieces;
    if (one === undefined) throw internal('concat of nothing');
    // Where no piece can be, nothing is read.
    return result ?? literalOf(builder, one.dtype, 0);
  }

  private pad(
    node: Extract<Node, { op: 'pad' }>,
    index: readonly Expression[],
    guard: Value | undefined,
  ): Value {
    const { builder } = this.place;
    const [x] = node.inputs as [Node];
    const { before, value } = node.attributes;
    const inner = index.map((i, axis) => subtract(i, before[axis] as Size));
    const padding = (): Value => literalOf(builder, node.dtype, value);
    const sizes = x.shape;
    if (inner.some((i, axis) => this.isBelow(i, 0) || this.isAtLeast(i, sizes[axis] as Size))) {
      return padding();
    }
    let inside: Value | undefined;
    inner.forEach((i, axis) => {
      if (!this.isAtLeast(i, 0)) inside = this.both(inside, this.atLeast(i, 0));
      inside = this.both(inside, this.condition(i, sizes[axis] as Size));
    });
    const fetched = this.value(x, inner, this.both(guard, inside));
    if (inside === undefined) return fetched;
    return builder.select(inside, fetched, padding());
  }

  private gather(
    axis: number,
    [data, indices]: readonly [Node, Node],
    index: readonly Expression[],
    guard: Value | undefined,
  ): Value {
    const { builder } = this.place;
    const buffer = this.place.bufferOf(data);
    if (buffer === undefined) throw internal('gather from a value that is not in memory');
    const rank = indices.shape.length;
    const chosen = this.value(indices, index.slice(axis, axis + rank), guard);
    const extent = data.shape[axis] as Size;
    const position = this.checked(chosen, extent, guard);
    const others = [...index.slice(0, axis), 0, ...index.slice(axis + rank)];
    const stride = product(data.shape.slice(axis + 1));
    const rest = flatten(data.shape, others);
    if (position.type.shape.length === 0) {
      const name = builder.name(position, extent);
      this.place.record?.(rest);
      const address = add(this.place.finish(rest), multiply(name, stride));
      return this.fetchAt(data, buffer, address, guard);
    }
    const offset = builder.multiply(position, builder.scalar(stride));
    const address = builder.add(offset, this.index(rest));
    return this.fetchEach(data, buffer, builder.broadcast(address, this.shape), guard);
  }

  /** The position as an index-typed value inside [0, extent); refuses others by the status word. */
  private checked(chosen: Value, extent: Size, guard: Value | undefined): Value {
    const { builder, target } = this.place;
    const word = wordOf(target);
    const wide = builder.convert(chosen, word);
    const limit = builder.convert(builder.scalar(extent), word);
    const zero = builder.literal(word, 0);
    const outside = builder.or(builder.less(wide, zero), builder.lessEqual(limit, wide));
    this.fail(outside, guard, 'indexOutOfRange');
    const safe = builder.select(outside, zero, wide);
    return builder.convert(safe, builder.indexType);
  }
}

/** The widest integer that the target computes: every size and index that it can meet fits. */
function wordOf(target: Target): 'i32' | 'i64' {
  return target.compute.includes('i64') ? 'i64' : 'i32';
}
