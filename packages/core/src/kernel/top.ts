/**
 * The k best of lines, one task for each line. Where few are wanted, elements are cut into groups,
 * one for every lane of some vectors: where k of the groups' best come before a bound, so do k
 * elements. What is better than the bound is gathered and sorted. Where many are equal that may be
 * less than k, and the first of what equals the bound follow.
 */
import { type DType, type IntegerType, integerRange, isFloat } from '../base/dtype.js';
import { add, type Expression, minimum, multiply, subtract } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { blockVectors, keyLanes, topMethod } from '../schedule/top.js';
import type { KernelBuilder, Value } from './builder.js';
import { literalOf } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { elementOf, type Line, loadKeys, writeLines } from './line-tasks.js';
import type { LoweredKernel } from './lowered.js';
import { aroundAxis, lineAddress, loadElement, loadWord, storeElement } from './sequential.js';
import { type ChunkMemory, EntrySorter, orderOfRank, writeRanks } from './sort-entries.js';
import { chunkMemory, chunkTile, entryScratch, lineSource } from './sort-lines.js';
import { type KeyOrder, keyOfOrder, orderOf, orderType } from './sort-order.js';

export function lowerTop(step: KernelStep, target: Target, names: KernelNames): LoweredKernel {
  const node = step.anchor as NodeOf<'composite'>;
  const keys = node.inputs[0] as Node;
  const { parameters } = node.attributes;
  const [axis, k] = [Number(parameters['axis']), Number(parameters['k'])];
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const around = aroundAxis(keys.shape, axis);
  const length = around.length as number;
  const order = { dtype: keys.dtype, descending: parameters['largest'] === true };
  const lanes = keyLanes(target, keys);
  const method = topMethod(k, length, lanes);
  const grid = writeLines(frame, keys, { axis, lanes }, (line, outer, inner) => {
    const first = b.bind(lineAddress({ ...around, length: k }, outer, inner));
    const emit = writerOf(frame, line, (place) => add(first, multiply(place, around.inner)));
    if (method?.kind === 'groups') {
      const few = { k, lanes, vectors: method.vectors };
      new GroupSearch(frame, { ...line, length }, order, few).write(emit);
      return;
    }
    const tile = chunkTile(lanes, length);
    const chunk = chunkMemory(frame, order, tile.lanes * tile.vectors);
    const memory = { chunk, entries: entryScratch(frame, order, length) };
    const source = lineSource(b, line, order, { lanes, orders: chunk.orders });
    new EntrySorter(b, order, tile, memory).sort(length, k, source, emit);
  });
  return frame.finish(names, { lanes, group: 1, grid });
}

type FixedLine = Line & { readonly length: number };

/** Writes the value at a position of the line, and the position, to a place of the results. */
type Emit = (place: Expression, position: Value) => void;

function writerOf(
  frame: KernelFrame,
  line: Line,
  addressOf: (place: Expression) => Expression,
): Emit {
  const { builder: b, step } = frame;
  const partOf = (index: number) =>
    step.outputs.find((output) => output.op === 'part' && output.attributes.index === index);
  const [values, indices] = [partOf(0), partOf(1)];
  const valuesTo = values && frame.output(values);
  const indicesTo = indices && frame.output(indices);
  return (place, position) => {
    const address = addressOf(place);
    if (values !== undefined && valuesTo !== undefined) {
      const at = b.name(b.convert(position, b.indexType), line.length);
      const value = loadElement(b, line.buffer, line.node, elementOf(line, at));
      storeElement(b, valuesTo, values, address, value);
    }
    if (indices !== undefined && indicesTo !== undefined) {
      storeElement(b, indicesTo, indices, address, b.convert(position, 'i64'));
    }
  };
}

/** What no key is better than the other way round. */
const worstOf = (dtype: DType, largest: boolean): number | bigint => {
  if (isFloat(dtype)) return largest ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const [least, greatest] = integerRange(dtype as IntegerType);
  return largest ? least : greatest;
};

interface List {
  /** So many are in it: below `most`. */
  count(most: Expression): Expression;
  take(at: Expression, isTaken: (key: Value) => Value): void;
}

interface Few {
  readonly k: number;
  readonly lanes: number;
  /** Vectors of groups. */
  readonly vectors: number;
}

class GroupSearch {
  private readonly frame: KernelFrame;
  private readonly b: KernelBuilder;
  private readonly line: FixedLine;
  private readonly order: KeyOrder;
  private readonly few: Few;
  private readonly chunk: ChunkMemory;
  private readonly tile: { readonly lanes: number; readonly vectors: number };

  constructor(frame: KernelFrame, line: FixedLine, order: KeyOrder, few: Few) {
    this.frame = frame;
    this.b = frame.builder;
    this.line = line;
    this.order = order;
    this.few = few;
    // About so many are sorted.
    this.tile = chunkTile(few.lanes, Math.ceil(1.4 * few.k));
    const vectors = Math.max(this.tile.vectors, few.vectors);
    this.chunk = chunkMemory(frame, order, few.lanes * vectors);
  }

  private get word(): 'i32' | 'i64' {
    return orderType(this.order.dtype);
  }

  write(emit: Emit): void {
    const { b, frame, line, few, order } = this;
    const { k } = few;
    const bound = keyOfOrder(b, order, this.findBound());
    const positions = frame.scratch('i32', line.length + 1);
    const count = this.gather(bound, positions);
    const position = (at: Expression): Value => loadWord(b, positions, 'i32', at);
    const memory = { chunk: this.chunk, entries: entryScratch(frame, order, line.length) };
    const wanted = b.bind(minimum(count, k));
    new EntrySorter(b, order, this.tile, memory).sort(
      count,
      wanted,
      {
        fill: (start, size) => {
          b.for(0, size, 1, (i) => {
            const at = b.name(b.convert(position(add(start, i)), b.indexType), line.length);
            const access = { buffer: this.chunk.orders, address: i, strides: [] };
            b.store(access, orderOf(b, order, this.keyAt(at)));
          });
        },
        position,
      },
      emit,
    );
    b.if(b.less(b.scalar(wanted), b.scalar(k)), () => {
      const filled = this.writeEqual(bound, wanted, positions, emit);
      if (isFloat(order.dtype)) this.writeNaN(filled, emit);
    });
  }

  private keyAt(position: Expression): Value {
    const { b, line } = this;
    return loadElement(b, line.buffer, line.node, elementOf(line, position));
  }

  /** a comes before c; NaN never does. */
  private isBetter(a: Value, c: Value): Value {
    const { b, order } = this;
    return order.descending ? b.less(c, a) : b.less(a, c);
  }

  /** The order that only k of the groups' best come before, or few more. */
  private findBound(): Value {
    const { b, few, chunk, word } = this;
    const { k, lanes, vectors } = few;
    this.writeBest();
    if (vectors > blockVectors) return this.bisect();
    const tile = { word, lanes, vectors };
    writeRanks(b, tile, chunk, lanes * vectors);
    return orderOfRank(b, tile, chunk, k);
  }

  /** The order of every group's best; elements after the last whole round are in no group. */
  private writeBest(): void {
    const { b, few, line, order } = this;
    const { lanes, vectors } = few;
    const round = lanes * vectors;
    const rounds = Math.floor(line.length / round);
    const block = Math.min(vectors, blockVectors);
    const worst = literalOf(b, order.dtype, worstOf(order.dtype, order.descending));
    b.for(0, vectors, block, (first) => {
      const best = Array.from({ length: block }, () => b.variable(b.broadcast(worst, [lanes])));
      const at = (i: number): Expression => multiply(add(first, i), lanes);
      b.for(0, rounds, 1, (number) => {
        best.forEach((variable, i) => {
          const keys = loadKeys(b, line, add(multiply(number, round), at(i)), lanes);
          const before = b.read(variable);
          b.assign(variable, b.select(this.isBetter(keys, before), keys, before));
        });
      });
      best.forEach((variable, i) => {
        const access = { buffer: this.chunk.orders, address: at(i), strides: [1] };
        b.store(access, orderOf(b, order, b.read(variable)));
      });
    });
  }

  /** Halves the range of orders until little more than k of the groups' best are within. */
  private bisect(): Value {
    const { b, few, word } = this;
    const { k } = few;
    const unsigned = word === 'i32' ? 'u32' : 'u64';
    const one = b.literal(word, 1);
    const low = b.variable(this.fold('minimum', (orders) => orders));
    const high = b.variable(this.fold('maximum', (orders) => orders));
    const least = k + 1;
    const most = b.literal(word, least + (k >> 3));
    b.while(
      () => b.less(b.read(low), b.read(high)),
      () => {
        const [from, to] = [b.read(low), b.read(high)];
        const range = b.bitcast(b.subtract(to, from), unsigned);
        const half = b.binary('shiftRight', range, b.literal(unsigned, 1));
        const middle = b.add(from, b.bitcast(half, word));
        const count = this.fold('add', (orders) => b.convert(b.lessEqual(orders, middle), word));
        const isEnough = b.lessEqual(b.literal(word, least), count);
        b.assign(high, b.select(isEnough, middle, to));
        const next = b.select(b.lessEqual(count, most), middle, from);
        b.assign(low, b.select(isEnough, next, b.add(middle, one)));
      },
    );
    return b.read(high);
  }

  /** Reduces a tile of every vector of the groups' best to one number. */
  private fold(name: 'minimum' | 'maximum' | 'add', of: (orders: Value) => Value): Value {
    const { b, few, word } = this;
    const { lanes, vectors } = few;
    const load = (address: Expression): Value => {
      const access = { buffer: this.chunk.orders, address, strides: [1] };
      return of(b.load({ dtype: word, shape: [lanes] }, access, { volatile: true }));
    };
    const totals = Array.from({ length: blockVectors }, (_, i) => b.variable(load(i * lanes)));
    const step = blockVectors * lanes;
    b.for(step, vectors * lanes, step, (at) => {
      totals.forEach((total, i) => {
        b.assign(total, b.binary(name, b.read(total), load(add(at, i * lanes))));
      });
    });
    return b.reduce(
      name,
      totals.map(b.read.bind(b)).reduce((a, c) => b.binary(name, a, c)),
    );
  }

  /** Appends positions of the line to memory, each where `isTaken` holds; counts them. */
  private list(positions: string): List {
    const { b } = this;
    const counter = b.variable(b.scalar(0));
    const count = (most: Expression): Expression => b.name(b.read(counter), most);
    return {
      count,
      take: (at, isTaken) => {
        const address = count(this.line.length + 1);
        const access = { buffer: positions, address, strides: [] };
        b.store(access, b.convert(b.scalar(at), 'i32'));
        const step = b.convert(isTaken(this.keyAt(at)), b.indexType);
        b.assign(counter, b.add(b.scalar(address), step));
      },
    };
  }

  /** Positions of what is better than the bound, in order; their count. */
  private gather(bound: Value, positions: string): Expression {
    const { b, few, line } = this;
    const { lanes, k } = few;
    const found = this.list(positions);
    const isBetter = (key: Value): Value => this.isBetter(key, bound);
    const isHit = (at: Expression): Value => isBetter(loadKeys(b, line, at, lanes));
    const takeVector = (at: Expression): void =>
      b.if(b.reduce('or', isHit(at)), () => {
        for (let lane = 0; lane < lanes; lane++) found.take(add(at, lane), isBetter);
      });
    const block = blockVectors * lanes;
    // Where most blocks have one, none is asked for it.
    const isRare = 2 * k * block < line.length;
    const blocks = isRare ? line.length - (line.length % block) : 0;
    const whole = line.length - (line.length % lanes);
    if (blocks > 0) {
      b.for(0, blocks, block, (at) => {
        const hits = Array.from({ length: blockVectors }, (_, i) => isHit(add(at, i * lanes)));
        const isAny = b.reduce('or', hits.reduce(b.or));
        b.if(isAny, () => b.for(at, add(at, block), lanes, takeVector));
      });
    }
    if (blocks < whole) b.for(blocks, whole, lanes, takeVector);
    if (whole < line.length) b.for(whole, line.length, 1, (at) => found.take(at, isBetter));
    return found.count(line.length + 1);
  }

  /** Fills places from `start` on with the first elements that equal the bound; gives the end. */
  private writeEqual(bound: Value, start: Expression, positions: string, emit: Emit): Expression {
    const { b, few, line } = this;
    const { lanes, k } = few;
    const found = this.list(positions);
    const isEqual = (key: Value): Value => b.equal(key, bound);
    const missing = b.bind(subtract(k, start));
    const next = b.variable(b.scalar(0));
    const isLeft = (end: number): Value =>
      b.and(
        b.less(b.scalar(found.count(line.length + 1)), b.scalar(missing)),
        b.less(b.read(next), b.scalar(end)),
      );
    const walk = (end: number, step: number, take: (at: Expression) => void): void =>
      b.while(
        () => isLeft(end),
        () => {
          const at = b.name(b.read(next), end);
          take(at);
          b.assign(next, b.scalar(add(at, step)));
        },
      );
    walk(line.length - (line.length % lanes), lanes, (at) => {
      b.if(b.reduce('or', isEqual(loadKeys(b, line, at, lanes))), () => {
        for (let lane = 0; lane < lanes; lane++) found.take(add(at, lane), isEqual);
      });
    });
    walk(line.length, 1, (at) => found.take(at, isEqual));
    const end = b.bind(minimum(add(start, found.count(line.length + 1)), k));
    b.for(start, end, 1, (place) => {
      emit(place, loadWord(b, positions, 'i32', subtract(place, start)));
    });
    return end;
  }

  /** NaN comes after all others, in order. */
  private writeNaN(filled: Expression, emit: Emit): void {
    const { b, few, line } = this;
    const { k } = few;
    b.if(b.less(b.scalar(filled), b.scalar(k)), () => {
      const next = b.variable(b.scalar(filled));
      b.for(0, line.length, 1, (at) => {
        const key = this.keyAt(at);
        const isNext = b.and(b.notEqual(key, key), b.less(b.read(next), b.scalar(k)));
        b.if(isNext, () => {
          const place = b.name(b.read(next), k);
          emit(place, b.convert(b.scalar(at), 'i32'));
          b.assign(next, b.scalar(add(place, 1)));
        });
      });
    });
  }
}
