/**
 * Stable sort of a few thousand keys by one task. Chunks are sorted by rank: every key is compared
 * with all of its chunk, vectors at a time, and how many come before it is its place. Chunks are
 * merged in pairs from both ends at once, which needs no jumps and makes two chains of work.
 *
 * An entry is a key's order (sort-order.ts) with its position in the line: one i64 where the order
 * has 32 bits, so that no two are equal; else the order, and the position beside it.
 */
import {
  add,
  type Expression,
  floorDivide,
  minimum,
  modulo,
  multiply,
  subtract,
} from '../base/expression.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { loadWord } from './sequential.js';
import { type KeyOrder, orderType } from './sort-order.js';

/** Where entries lie: two halves, which merges fill by turns, from address `base` on. */
export interface EntryMemory {
  /** i64. */
  readonly words: string;
  /** i32, for keys of 64 bits. */
  readonly positions?: string;
  readonly base: Expression;
  /** Entries of a half. */
  readonly capacity: Expression;
}

/** Merges read one entry beyond either end. */
const margin = 1;

/** Elements of a half with its margins. */
export const halfLength = (capacity: Expression): Expression => add(capacity, 2 * margin);

/** Memory of one chunk, in elements of the orders' type: orders, and their places in the chunk. */
export interface ChunkMemory {
  readonly orders: string;
  readonly ranks: string;
  /** i32: 0, 1 … for the lanes of a vector. */
  readonly lanes: string;
}

/** What is sorted. */
export interface EntrySource {
  /** Puts orders [start, start + size) into `orders`; what lies there beyond them is not used. */
  fill(start: Expression, size: Expression, vectors: number): void;
  /** Position (i32) of an entry, growing with its number. */
  position(number: Expression): Value;
}

interface Entry {
  readonly word: Value;
  readonly position?: Value;
}

/** Orders of a chunk: their type and the vectors that they fill. */
export interface ChunkTile {
  readonly word: 'i32' | 'i64';
  readonly lanes: number;
  readonly vectors: number;
}

/** Address of each vector of a chunk. */
const vectorsOf = ({ lanes, vectors }: ChunkTile): readonly number[] =>
  Array.from({ length: vectors }, (_, i) => i * lanes);

/** How many of a chunk's first `size` orders come before each of them, into `ranks`. */
export function writeRanks(
  b: KernelBuilder,
  tile: ChunkTile,
  chunk: ChunkMemory,
  size: Expression,
): void {
  const { word, lanes } = tile;
  const type = { dtype: word, shape: [lanes] };
  const blocks = vectorsOf(tile);
  const orders = blocks.map((address) =>
    b.load(type, { buffer: chunk.orders, address, strides: [1] }, { volatile: true }),
  );
  const zero = b.broadcast(b.literal(word, 0), [lanes]);
  const ranks = blocks.map(() => b.variable(zero));
  const lane = laneNumbers(b, chunk, lanes);
  for (const block of blocks) {
    b.for(
      block,
      minimum(block + lanes, size),
      1,
      (j) => {
        const other = loadWord(b, chunk.orders, word, j);
        const isEarlier = b.less(b.convert(b.scalar(subtract(j, block)), 'i32'), lane);
        orders.forEach((order, i) => {
          const own = blocks[i] as number;
          const before =
            own === block
              ? b.or(b.less(other, order), b.and(b.equal(other, order), isEarlier))
              : b.compare(own < block ? 'less' : 'lessEqual', other, order);
          const rank = ranks[i] as Variable;
          b.assign(rank, b.add(b.read(rank), b.convert(before, word)));
        });
      },
      { unroll: 4 },
    );
  }
  for (const [i, address] of blocks.entries()) {
    b.store({ buffer: chunk.ranks, address, strides: [1] }, b.read(ranks[i] as Variable));
  }
}

function laneNumbers(b: KernelBuilder, { lanes: buffer }: ChunkMemory, lanes: number): Value {
  if (b.indexType === 'i32') return b.iota(lanes);
  // Numbers of 64 bits would widen every mask of the kernel.
  for (let i = 0; i < lanes; i++) {
    b.store({ buffer, address: i, strides: [] }, b.literal('i32', i));
  }
  return b.load({ dtype: 'i32', shape: [lanes] }, { buffer, address: 0, strides: [1] });
}

/** The order with this rank. */
export function orderOfRank(
  b: KernelBuilder,
  tile: ChunkTile,
  { orders, ranks }: ChunkMemory,
  rank: number,
): Value {
  const { word, lanes } = tile;
  const type = { dtype: word, shape: [lanes] };
  const least = b.literal(word, word === 'i32' ? -(2 ** 31) : -(2n ** 63n));
  const found = vectorsOf(tile).map((address) => {
    const load = (buffer: string): Value =>
      b.load(type, { buffer, address, strides: [1] }, { volatile: true });
    return b.select(b.equal(load(ranks), b.literal(word, rank)), load(orders), least);
  });
  return b.reduce(
    'maximum',
    found.reduce((a, c) => b.binary('maximum', a, c)),
  );
}

export class EntrySorter {
  private readonly b: KernelBuilder;
  private readonly word: 'i32' | 'i64';
  private readonly lanes: number;
  /** Vectors of a chunk. */
  private readonly vectors: number;
  private readonly chunk: ChunkMemory;
  private readonly memory: EntryMemory;

  constructor(
    b: KernelBuilder,
    order: KeyOrder,
    tile: { readonly lanes: number; readonly vectors: number },
    memory: { readonly chunk: ChunkMemory; readonly entries: EntryMemory },
  ) {
    this.b = b;
    this.word = orderType(order.dtype);
    this.lanes = tile.lanes;
    this.vectors = tile.vectors;
    this.chunk = memory.chunk;
    this.memory = memory.entries;
  }

  private get chunkLength(): number {
    return this.vectors * this.lanes;
  }

  /**
   * Calls `emit` for the first `wanted` of `count` entries with their places and positions, in any
   * order.
   */
  sort(
    count: Expression,
    wanted: Expression,
    source: EntrySource,
    emit: (place: Expression, position: Value) => void,
  ): void {
    const { b } = this;
    const whole = this.chunkLength;
    if (typeof count === 'number' && count <= whole) {
      this.rank(0, count, source);
      b.for(0, count, 1, (i) => {
        const place = b.name(this.rankAt(i), count);
        const put = (): void => emit(place, source.position(i));
        if (wanted === count) put();
        else b.if(b.less(b.scalar(place), b.scalar(wanted)), put);
      });
      return;
    }
    this.sortChunks(count, source);
    const half = this.merge(count);
    b.for(0, wanted, 1, (i) => emit(i, this.positionOf(this.load(add(half, i)))));
  }

  private rank(start: Expression, size: Expression, source: EntrySource): void {
    const { b, chunk, lanes, word } = this;
    const most = typeof size === 'number' ? Math.ceil(size / lanes) : this.vectors;
    const vectors = Math.min(this.vectors, most);
    source.fill(start, size, vectors);
    writeRanks(b, { word, lanes, vectors }, chunk, size);
  }

  private rankAt(i: Expression): Value {
    const { b } = this;
    return b.convert(loadWord(b, this.chunk.ranks, this.word, i), b.indexType);
  }

  private sortChunks(count: Expression, source: EntrySource): void {
    const { b } = this;
    const whole = this.chunkLength;
    const sortOne = (start: Expression, size: Expression): void => {
      this.rank(start, size, source);
      b.for(0, size, 1, (i) => {
        const order = loadWord(b, this.chunk.orders, this.word, i);
        const place = b.name(this.rankAt(i), whole);
        const position = source.position(add(start, i));
        this.store(add(this.half(0), start, place), this.entryOf(order, position));
      });
    };
    if (typeof count !== 'number') {
      b.for(0, count, whole, (start) => {
        sortOne(start, b.bind(minimum(subtract(count, start), whole)));
      });
      return;
    }
    const rest = count % whole;
    b.for(0, count - rest, whole, (start) => sortOne(start, whole));
    if (rest > 0) sortOne(count - rest, rest);
  }

  private half(which: Expression): Expression {
    const { base, capacity } = this.memory;
    return add(base, multiply(which, halfLength(capacity)), margin);
  }

  private entryOf(order: Value, position: Value): Entry {
    const { b, memory } = this;
    if (memory.positions !== undefined) return { word: order, position };
    const high = b.binary('shiftLeft', b.convert(order, 'i64'), b.literal('i64', 32));
    return { word: b.or(high, b.convert(position, 'i64')) };
  }

  private positionOf({ word, position }: Entry): Value {
    return position ?? this.b.convert(word, 'i32');
  }

  private load(address: Expression): Entry {
    const { b, memory } = this;
    const word = loadWord(b, memory.words, 'i64', address);
    if (memory.positions === undefined) return { word };
    return { word, position: loadWord(b, memory.positions, 'i32', address) };
  }

  private store(address: Expression, { word, position }: Entry): void {
    const { b, memory } = this;
    b.store({ buffer: memory.words, address, strides: [] }, word);
    if (memory.positions === undefined || position === undefined) return;
    b.store({ buffer: memory.positions, address, strides: [] }, position);
  }

  /** Merges runs of a chunk until one is left; gives the address of its half. */
  private merge(count: Expression): Expression {
    const { b } = this;
    const width = b.variable(b.scalar(this.chunkLength));
    const side = b.variable(b.scalar(0));
    b.while(
      () => b.less(b.read(width), b.scalar(count)),
      () => {
        const w = b.name(b.read(width), add(count, 1));
        const which = b.name(b.read(side), 2);
        const source = b.bind(this.half(which));
        const sink = b.bind(this.half(subtract(1, which)));
        b.for(0, count, multiply(2, w), (low) => {
          const middle = b.bind(minimum(add(low, w), count));
          const high = b.bind(minimum(add(low, multiply(2, w)), count));
          this.mergeRuns({ source, sink, low, middle, high });
        });
        b.assign(width, b.scalar(multiply(2, w)));
        b.assign(side, b.scalar(subtract(1, which)));
      },
    );
    return b.bind(this.half(b.name(b.read(side), 2)));
  }

  /**
   * Merges the runs [low, middle) and [middle, high), of which the right is no longer. Neither ends
   * before as much as the right has is written from either end; what is left of the longer one
   * needs tests.
   */
  private mergeRuns(runs: Runs): void {
    const { b } = this;
    const { low, middle, high } = runs;
    const front = this.frontOf(runs);
    const back = this.backOf(runs);
    const sure = b.bind(subtract(high, middle));
    b.for(0, sure, 1, (i) => {
      front(i, false);
      back(i, false);
    });
    const rest = b.bind(subtract(subtract(middle, low), sure));
    b.if(rest, () => {
      const half = b.bind(floorDivide(rest, 2));
      b.for(sure, add(sure, half), 1, (i) => {
        front(i, true);
        back(i, true);
      });
      b.if(modulo(rest, 2), () => front(add(sure, half), true));
    });
  }

  /** Writes the least of both runs, of equal ones the left. */
  private frontOf({ source, sink, low, middle, high }: Runs): Step {
    const { b } = this;
    const left = b.variable(b.scalar(low));
    const right = b.variable(b.scalar(middle));
    return (i, mayEnd) => {
      const at = (run: Variable): Expression => b.name(b.read(run), add(high, 1));
      const [l, r] = [at(left), at(right)];
      const [a, c] = [this.load(add(source, l)), this.load(add(source, r))];
      const less = b.less(c.word, a.word);
      const isRight = (): Value =>
        b.or(
          b.lessEqual(b.scalar(middle), b.scalar(l)),
          b.and(b.less(b.scalar(r), b.scalar(high)), less),
        );
      const takesRight = mayEnd ? isRight() : less;
      this.store(add(sink, low, i), this.choose(takesRight, c, a));
      const step = b.convert(takesRight, b.indexType);
      b.assign(right, b.add(b.scalar(r), step));
      b.assign(left, b.subtract(b.scalar(add(l, 1)), step));
    };
  }

  /** Writes the greatest of both runs, of equal ones the right. */
  private backOf({ source, sink, low, middle, high }: Runs): Step {
    const { b } = this;
    const left = b.variable(b.scalar(subtract(middle, 1)));
    const right = b.variable(b.scalar(subtract(high, 1)));
    return (i, mayEnd) => {
      const [l, r] = [b.name(b.read(left)), b.name(b.read(right))];
      const [a, c] = [this.load(add(source, l)), this.load(add(source, r))];
      const less = b.less(c.word, a.word);
      const isLeft = (): Value =>
        b.or(
          b.less(b.scalar(r), b.scalar(middle)),
          b.and(b.lessEqual(b.scalar(low), b.scalar(l)), less),
        );
      const takesLeft = mayEnd ? isLeft() : less;
      this.store(add(sink, subtract(high, 1), multiply(-1, i)), this.choose(takesLeft, a, c));
      const step = b.convert(takesLeft, b.indexType);
      b.assign(left, b.subtract(b.scalar(l), step));
      b.assign(right, b.add(b.scalar(add(r, -1)), step));
    };
  }

  private choose(condition: Value, a: Entry, c: Entry): Entry {
    const { b } = this;
    const word = b.select(condition, a.word, c.word);
    if (a.position === undefined || c.position === undefined) return { word };
    return { word, position: b.select(condition, a.position, c.position) };
  }
}

/** Writes result `i` from its end; `mayEnd`: a run may have ended before. */
type Step = (i: Expression, mayEnd: boolean) => void;

/** Two neighbouring runs of a half, and where they go. */
interface Runs {
  readonly source: Expression;
  readonly sink: Expression;
  readonly low: Expression;
  readonly middle: Expression;
  readonly high: Expression;
}
