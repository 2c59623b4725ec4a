/** Products of f32 tiles on a unit of bf16: parts, their order, and whether the range allows it. */
import type { KernelBuilder, Value, Variable } from './builder.js';
import { narrowSmall } from './convert.js';
import type { UnitTile } from './group-tile.js';
import { highHalf, RangeOf, rangesFit, splitParts } from './unit-operand.js';

/** Products of parts that count, smallest first: those whose places add up to less than `count`. */
export function partProducts(count: number): readonly (readonly [number, number])[] {
  const all = Array.from({ length: count * count }, (_, i) => [Math.floor(i / count), i % count]);
  const kept = (all as [number, number][]).filter(([i, j]) => i + j < count);
  return kept.sort((x, y) => y[0] + y[1] - (x[0] + x[1]));
}

/** Adds products to an accumulator. Stateful within one kernel. */
export class SplitProduct {
  private readonly b: KernelBuilder;
  private readonly tile: UnitTile;
  private readonly accumulator: Variable;
  /** Magnitudes met so far, by operand; none where one part, rounded, is all that is asked for. */
  private readonly ranges: readonly RangeOf[];

  constructor(b: KernelBuilder, tile: UnitTile, accumulator: Variable) {
    this.b = b;
    this.tile = tile;
    this.accumulator = accumulator;
    const shapes = [
      [tile.rows, tile.depth],
      [tile.depth, tile.columns],
    ];
    this.ranges = tile.parts === 1 ? [] : shapes.map((shape) => new RangeOf(b, shape));
  }

  private parts(x: Value): readonly Value[] {
    const { b, tile } = this;
    if (tile.parts === 1) return [narrowSmall(b, 'bf16', x, false)];
    return splitParts(b, x, tile.parts).map((part) => highHalf(b, part));
  }

  readonly add = (operands: readonly [Value, Value]): void => {
    const { b, tile, accumulator } = this;
    const [left, right] = [this.parts(operands[0]), this.parts(operands[1])];
    this.ranges.forEach((range, i) => {
      range.take(operands[i] as Value);
    });
    // A unit may cut what it adds up; over a few products alone that is less than a rounding.
    const isSplit = tile.parts > 1;
    const zero = b.broadcast(b.literal('f32', 0), accumulator.type.shape);
    const sum = partProducts(tile.parts).reduce<Value>(
      (all, [i, j]) => b.dot(left[i] as Value, right[j] as Value, all, tile.unit.name),
      isSplit ? zero : b.read(accumulator),
    );
    b.assign(accumulator, isSplit ? b.add(b.read(accumulator), sum) : sum);
  };

  /** Whether elements were met whose parts give wrong products; undefined: that does not matter. */
  outside(): Value | undefined {
    const { b } = this;
    const [left, right] = this.ranges;
    if (left === undefined || right === undefined) return undefined;
    return b.not(rangesFit(b, left.ends(), right.ends(), true, largestDepth));
  }
}

/** Products that a sum may have at most; more only make the range narrower than it must be. */
const largestDepth = 2 ** 20;
