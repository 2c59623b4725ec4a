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
  equalTo,
  floorDivide,
  keyOf,
  lessThan,
  linearIn,
  modulo,
  multiply,
  product,
  provablyAtLeast,
  provablyLess,
  type Size,
  subtract,
  variablesOf,
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

/** Name of the variable that stands for the lane inside addresses. */
export const laneName = 'lane';

/** Where a value is wanted. */
export interface Place {
  readonly builder: KernelBuilder;
  readonly target: Target;
  /** Buffer parameter that holds a node, for nodes in memory. */
  bufferOf(node: Node): string | undefined;
  /** Replaces iteration variables by loop variables and the lane. */
  finish(e: Expression): Expression;
  /** Lanes of a tile. */
  readonly lanes: number;
  /** Lanes that count, where fewer than all do. */
  readonly tail: Expression | undefined;
  /** The value of a reduction of this step at the row's index, already computed. */
  reduced(node: Node, index: readonly Expression[]): Value | undefined;
  readonly failBase: number;
  /** Called with every address and condition, for merging axes. */
  record?(e: Expression): void;
}

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly Size[]): Size[] {
  return shape.map((_, axis) => product(shape.slice(axis + 1)));
}

/** Flat row-major position of an index. */
export function flatten(shape: readonly Size[], index: readonly Expression[]): Expression {
  const strides = stridesOf(shape);
  return add(0, ...index.map((i, axis) => multiply(i, strides[axis] as Size)));
}

/** Index of a flat position. */
export function unflatten(shape: readonly Size[], flat: Expression): Expression[] {
  const strides = stridesOf(shape);
  return shape.map((size, axis) => {
    if (equal(size, 1)) return 0;
    const whole = floorDivide(flat, strides[axis] as Size);
    return axis === 0 ? whole : modulo(whole, size);
  });
}

/** Reshape as index arithmetic: groups of axes with equal products are treated on their own. */
export function reshapeIndex(
  from: readonly Size[],
  to: readonly Size[],
  index: readonly Expression[],
): Expression[] {
  const result: Expression[] = [];
  let f = 0;
  let t = 0;
  while (f < from.length || t < to.length) {
    const fromGroup: Size[] = [];
    const toGroup: Size[] = [];
    const toIndex: Expression[] = [];
    const takeTo = (): void => {
      toGroup.push(to[t] as Size);
      toIndex.push(index[t] as Expression);
      t++;
    };
    const takeFrom = (): void => {
      fromGroup.push(from[f] as Size);
      f++;
    };
    if (f < from.length) takeFrom();
    if (t < to.length) takeTo();
    while (!equal(product(fromGroup), product(toGroup)) && (f < from.length || t < to.length)) {
      const ahead = provablyAtLeast(product(fromGroup), product(toGroup));
      if (t < to.length && (ahead || f >= from.length)) takeTo();
      else takeFrom();
    }
    result.push(...unflatten(fromGroup, flatten(toGroup, toIndex)));
  }
  return result;
}

export class ValueLowering {
  private readonly place: Place;
  private readonly known = new Map<string, Value>();

  constructor(place: Place) {
    this.place = place;
  }

  /** Forgets values, because the scope that they were written in ends. */
  forget(): void {
    this.known.clear();
  }

  /** Index-typed value of an expression over iteration variables. */
  index(e: Expression): Value {
    const { builder, lanes } = this.place;
    this.place.record?.(e);
    return emitIndex(builder, this.place.finish(e), laneName, builder.iota(lanes));
  }

  private condition(left: Expression, right: Expression): Value | undefined {
    if (provablyLess(left, right)) return undefined;
    return this.place.builder.less(this.index(left), this.index(right));
  }

  private both(a: Value | undefined, b: Value | undefined): Value | undefined {
    if (a === undefined || b === undefined) return a ?? b;
    return this.place.builder.and(a, b);
  }

  /** Lanes that count, as a mask; undefined where all do. */
  private tailMask(): Value | undefined {
    const { builder, tail, lanes } = this.place;
    if (tail === undefined) return undefined;
    return builder.less(builder.iota(lanes), builder.scalar(tail));
  }

  private fail(when: Value, guard: Value | undefined, reason: keyof typeof failReasons): void {
    const { builder, failBase } = this.place;
    const counted = this.both(guard, this.tailMask());
    const condition = counted === undefined ? when : builder.and(counted, when);
    builder.fail(condition, failBase + failReasons[reason]);
  }

  /** Elements of a buffer in memory at an index, where the guard allows. */
  private fetch(node: Node, buffer: string, index: readonly Expression[], guard?: Value): Value {
    const { builder, lanes, tail } = this.place;
    const flat = flatten(node.shape, index);
    this.place.record?.(flat);
    const address = this.place.finish(flat);
    const memory = rawType(node.dtype);
    if (!variablesOf(address).has(laneName)) {
      const uniform: Access = { buffer, address, strides: [] };
      if (guard === undefined || guard.type.shape.length === 0) {
        const access = guard === undefined ? uniform : { ...uniform, mask: guard.id };
        const raw = builder.load({ dtype: memory, shape: [] }, access);
        return fromMemory(builder, node.dtype, raw);
      }
    }
    const linear = linearIn(address, laneName);
    const wide = guard === undefined ? undefined : builder.broadcast(guard, [lanes]);
    if (linear !== undefined) {
      const access: Access = {
        buffer,
        address: linear.rest,
        strides: [linear.coefficient],
        ...(tail === undefined ? {} : { limits: [{ high: tail }] }),
        ...(wide === undefined ? {} : { mask: wide.id }),
      };
      const raw = builder.load({ dtype: memory, shape: [lanes] }, access);
      return fromMemory(builder, node.dtype, raw);
    }
    const position = emitIndex(builder, address, laneName, builder.iota(lanes));
    const mask = this.both(wide, this.tailMask());
    return fromMemory(builder, node.dtype, builder.gather(memory, buffer, position, mask));
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
    const buffer = this.place.bufferOf(node);
    if (node.op === 'constant' && node.attributes.tensor.data.length === 1) {
      return literalOf(builder, node.dtype, readElement(node.attributes.tensor, 0));
    }
    if (buffer !== undefined) return this.fetch(node, buffer, index, guard);
    if (isUnaryName(node.op)) {
      const [x] = node.inputs as [Node];
      return lowerUnary(builder, target, node.op, x.dtype, this.value(x, index, guard));
    }
    if (isBinaryName(node.op)) {
      const [a, b] = node.inputs as [Node, Node];
      const left = this.value(a, index, guard);
      const right = this.value(b, index, guard);
      return lowerBinary(builder, target, node.op, a.dtype, left, right, (when) =>
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
        return lowerCast(builder, target, 'i64', node.dtype, false, widen(builder, position));
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
      case 'reduce': {
        const row = this.place.reduced(node, index);
        if (row !== undefined) return row;
        throw internal('a reduction inside a kernel that does not reduce');
      }
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
      const below = this.condition(position, end);
      const above = provablyAtLeast(position, start)
        ? undefined
        : builder.lessEqual(this.index(start), this.index(position));
      const inside = this.both(above, below);
      const inner = index.map((i, at) => (at === axis ? subtract(position, start) : i));
      const value = this.value(piece, inner, this.both(guard, inside));
      result =
        result === undefined || above === undefined ? value : builder.select(above, value, result);
      start = end;
    }
    if (result === undefined) throw internal('concat of nothing');
    return result;
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
    let inside: Value | undefined;
    inner.forEach((i, axis) => {
      if (!provablyAtLeast(i, 0)) {
        inside = this.both(inside, builder.lessEqual(builder.scalar(0), this.index(i)));
      }
      inside = this.both(inside, this.condition(i, x.shape[axis] as Size));
    });
    const fetched = this.value(x, inner, this.both(guard, inside));
    if (inside === undefined) return fetched;
    return builder.select(inside, fetched, literalOf(builder, node.dtype, value));
  }

  private gather(
    axis: number,
    [data, indices]: readonly [Node, Node],
    index: readonly Expression[],
    guard: Value | undefined,
  ): Value {
    const { builder, lanes } = this.place;
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
      const finished = this.place.finish(rest);
      this.place.record?.(rest);
      return this.fetchAt(data, buffer, add(finished, multiply(name, stride)), guard);
    }
    const offset = builder.multiply(position, builder.scalar(stride));
    const address = builder.add(offset, this.index(rest));
    const wide = guard === undefined ? undefined : builder.broadcast(guard, [lanes]);
    const mask = this.both(wide, this.tailMask());
    const memory = rawType(data.dtype);
    return fromMemory(builder, data.dtype, builder.gather(memory, buffer, address, mask));
  }

  /** The position as an index-typed value inside [0, extent); refuses others by the status word. */
  private checked(chosen: Value, extent: Size, guard: Value | undefined): Value {
    const { builder } = this.place;
    const wide = widen(builder, chosen);
    const limit = widen(builder, builder.scalar(extent));
    const zero = builder.literal('i64', 0);
    const outside = builder.or(builder.less(wide, zero), builder.lessEqual(limit, wide));
    this.fail(outside, guard, 'indexOutOfRange');
    const safe = builder.select(outside, zero, wide);
    return builder.convert(safe, builder.indexType);
  }

  /** As `fetch`, for an address that is finished already. */
  private fetchAt(data: Node, buffer: string, address: Expression, guard?: Value): Value {
    const { builder, lanes, tail } = this.place;
    const memory = rawType(data.dtype);
    const linear = linearIn(address, laneName);
    if (linear === undefined) {
      const position = emitIndex(builder, address, laneName, builder.iota(lanes));
      const wide = guard === undefined ? undefined : builder.broadcast(guard, [lanes]);
      const mask = this.both(wide, this.tailMask());
      return fromMemory(builder, data.dtype, builder.gather(memory, buffer, position, mask));
    }
    const uniform = equal(linear.coefficient, 0) && (guard?.type.shape.length ?? 0) === 0;
    const shape = uniform ? [] : [lanes];
    const mask = guard === undefined ? undefined : builder.broadcast(guard, shape);
    const access: Access = {
      buffer,
      address: linear.rest,
      strides: uniform ? [] : [linear.coefficient],
      ...(tail === undefined || uniform ? {} : { limits: [{ high: tail }] }),
      ...(mask === undefined ? {} : { mask: mask.id }),
    };
    return fromMemory(builder, data.dtype, builder.load({ dtype: memory, shape }, access));
  }
}

function widen(builder: KernelBuilder, value: Value): Value {
  return builder.convert(value, 'i64');
}

/** Index into a view's input; undefined where the node is no pure view. */
export function viewIndex(
  node: Node,
  index: readonly Expression[],
): readonly Expression[] | undefined {
  const x = node.inputs[0];
  if (x === undefined) return undefined;
  switch (node.op) {
    case 'reshape':
      return reshapeIndex(x.shape, node.shape, index);
    case 'permute': {
      const inner: Expression[] = [...index];
      node.attributes.axes.forEach((from, to) => {
        inner[from] = index[to] as Expression;
      });
      return inner;
    }
    case 'expand':
      return index.map((i, axis) => {
        const size = x.shape[axis] as Size;
        if (equal(size, node.shape[axis] as Size)) return i;
        // A size that may be 1 or not: stride 0 where it is 1.
        return multiply(i, subtract(1, equalTo(size, 1)));
      });
    case 'slice':
      return index.map((i, axis) =>
        add(
          node.attributes.starts[axis] as Size,
          multiply(i, node.attributes.steps[axis] as number),
        ),
      );
    case 'flip':
      return index.map((i, axis) =>
        node.attributes.axes.includes(axis) ? subtract(x.shape[axis] as Size, add(i, 1)) : i,
      );
    default:
      return undefined;
  }
}

/** A comparison of sizes as an expression, for conditions of whole tasks. */
export const insideExtent = (i: Expression, extent: Size): Expression => lessThan(i, extent);
