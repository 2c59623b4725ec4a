/**
 * Bands of a window's input: the part that a block of outputs reads, copied by the task that reads
 * it into memory of its own, with padding, so that neither edges nor the end of a row need masks.
 */
import {
  add,
  type Expression,
  equal,
  equalTo,
  floorDivide,
  lessThan,
  modulo,
  multiply,
  provablyAtLeast,
  provablyLess,
  subtract,
  variable,
} from '../base/expression.js';
import { ownBytes, type Target } from '../base/target.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType, lowerCast } from './elementwise.js';
import { laneName } from './fused.js';
import { identityOf } from './identity.js';
import { placeOn } from './place.js';
import { lineBytes } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';
import { inGraphOrder, type Spatial } from './window-plan.js';
import type { WindowSite } from './window-store.js';

/** One spatial axis of a band. All in elements. */
export interface BandAxis {
  /** Outputs of a block, a multiple of `tile`, and how many blocks there are. */
  readonly block: number;
  readonly blocks: number;
  readonly tile: number;
  /** Inputs that a block of outputs reads. */
  readonly extent: number;
}

/** Laid out as [… outer positions, channels, row]: what a step reads lies close to the last. */
export interface Band {
  readonly axes: readonly BandAxis[];
  /** Channels that there is room for, and how many of them are copied. */
  readonly channels: number;
  readonly copied: number;
  /** Elements from a row of one channel to that of the next. */
  readonly pitch: number;
  readonly elements: number;
}

/** Numbers of an axis whose sizes are all known. */
interface KnownSpatial {
  readonly out: number;
  readonly stride: number;
  readonly reach: number;
}

function knownOf(s: Spatial): KnownSpatial | undefined {
  const { size, kernel, low, padded, out } = s;
  const all = [size, kernel, low, padded, out];
  if (all.some((each) => typeof each !== 'number') || Number(out) < 1) return undefined;
  const reach = (Number(kernel) - 1) * s.kernelDilation + 1;
  return { out: Number(out), stride: s.stride, reach };
}

const axisOf = (s: KnownSpatial, tile: number, parts: number): BandAxis => {
  const block = tile * Math.ceil(Math.ceil(s.out / parts) / tile);
  const extent = (block - 1) * s.stride + s.reach;
  return { block, blocks: Math.ceil(s.out / block), tile, extent };
};

/** Addresses so far apart fall into the same set of a first cache, whatever its ways. */
const setSpan = 4096;
/** Part of a set's ways that rows of neighbouring channels may take, for one row of the kernel. */
const waysShare = 1 / 4;
/** Rows that are looked at, and bytes that a tile reads of each. */
const [leastSeen, mostSeen] = [8, 64];
const seenBytes = lineBytes / 2;

/** Lines of the fullest set where a tile reads from rows so many bytes apart. */
function fullestSet(pitch: number, rows: number): number {
  const sets = new Array<number>(setSpan / lineBytes).fill(0);
  for (let row = 0; row < rows; row++) {
    const first = Math.floor((row * pitch) / lineBytes);
    const last = Math.floor((row * pitch + seenBytes - 1) / lineBytes);
    for (let line = first; line <= last; line++) {
      const set = line % sets.length;
      sets[set] = (sets[set] as number) + 1;
    }
  }
  return Math.max(...sets);
}

/** Elements from a row of one channel to that of the next: the least that spreads over the sets. */
function pitchOf(extent: number, { bytes, channels, firstCache }: BandWish): number {
  const most = Math.max(1, (firstCache / setSpan) * waysShare);
  const rows = Math.min(Math.max(channels, leastSeen), mostSeen);
  const longest = Math.floor(extent * 1.25) + lineBytes / bytes;
  let best = { pitch: extent, lines: Number.POSITIVE_INFINITY };
  for (let pitch = extent; pitch <= longest; pitch++) {
    const lines = fullestSet(pitch * bytes, rows);
    if (lines < best.lines) best = { pitch, lines };
    if (lines <= most) break;
  }
  return best.pitch;
}

/** The same where rows are multiples of a unit's step. */
const steppedPitch = (extent: number, bytes: number): number =>
  (extent * bytes) % (8 * lineBytes) === 0 ? extent + lineBytes / bytes : extent;

/** The second cache where no fact says how large it is. */
const usualCache = 2 ** 20;

/**
 * Bytes for a band that is a part of the second cache; 0 where tasks have no memory of their own
 * to speak of.
 */
export function bandBudget(target: Target, share: number): number {
  return Math.min((target.cacheBytes[1] ?? usualCache) * share, ownBytes(target) / 2);
}

/** What a band shall hold. */
export interface BandWish {
  readonly channels: number;
  readonly bytes: number;
  /** Bytes that it may take. */
  readonly budget: number;
  /** Tasks that there shall be. */
  readonly wanted: number;
  /** Bytes of the first cache. */
  readonly firstCache: number;
  /** Channels and elements of a row are multiples of these. */
  readonly channelStep?: number;
  readonly rowStep?: number;
}

function bandOf(axes: readonly BandAxis[], wish: BandWish): Band {
  const { bytes, channels: copied, channelStep = 1, rowStep = 1 } = wish;
  const up = (count: number, step: number): number => Math.ceil(count / step) * step;
  const extent = up(axes.at(-1)?.extent ?? 1, rowStep);
  const pitch = rowStep === 1 ? pitchOf(extent, wish) : steppedPitch(extent, bytes);
  const rows = axes.slice(0, -1).reduce((count, { extent }) => count * extent, 1);
  const channels = up(copied, channelStep);
  return { axes, channels, copied, pitch, elements: rows * channels * pitch };
}

/**
 * Blocks of outputs whose inputs fit the budget, outer axes cut first, and enough of them for the
 * tasks wanted where a block keeps several times its overlap with the next; undefined where a
 * size is not known. `tiles`: outputs along every axis that a block holds a multiple of.
 */
export function planBand(
  spatial: readonly Spatial[],
  tiles: readonly number[],
  wish: BandWish,
): Band | undefined {
  const known = spatial.map(knownOf).filter((s) => s !== undefined);
  if (known.length < spatial.length) return undefined;
  const parts = known.map(() => 1);
  const made = (): readonly BandAxis[] =>
    known.map((s, i) => axisOf(s, tiles[i] as number, parts[i] as number));
  const isCut = (at: number): boolean => {
    const axes = made();
    const { block, tile } = axes[at] as BandAxis;
    const blocks = axes.reduce((count, axis) => count * axis.blocks, 1);
    const { stride, reach } = known[at] as KnownSpatial;
    if (bandOf(axes, wish).elements * wish.bytes > wish.budget) return block > tile;
    return blocks < wish.wanted && block >= 2 * tile && block * stride >= 3 * (reach - stride);
  };
  known.forEach((_, at) => {
    while (isCut(at)) parts[at] = (parts[at] as number) + 1;
  });
  return bandOf(made(), wish);
}

/** Position of an element in a band. */
export function bandAddress(
  band: Band,
  channel: Expression,
  padded: readonly Expression[],
): Expression {
  const outer = padded.slice(0, -1);
  const row = outer.reduce<Expression>(
    (position, at, i) => add(multiply(position, (band.axes[i] as BandAxis).extent), at),
    0,
  );
  const line = add(multiply(row, band.channels), channel);
  return add(multiply(line, band.pitch), padded.at(-1) as Expression);
}

/** Where a band begins: its batch and first channel, and the first outputs of its block. */
export interface BandStart {
  readonly batch: Expression;
  readonly channel: Expression;
  readonly outputs: readonly Expression[];
}

/** Copies the band of a block into `buffer`, by whole vectors of `lanes`. */
export function copyBand(
  site: WindowSite,
  band: Band,
  buffer: string,
  lanes: number,
  start: BandStart,
): void {
  const { plan } = site;
  const b = site.frame.builder;
  const spatial = plan.spatial.slice(0, -1);
  const origin = plan.spatial.map((s, i) =>
    subtract(multiply(start.outputs[i] as Expression, s.stride), s.low),
  );
  const length = band.axes.at(-1)?.extent ?? 1;
  const walk = (channel: Expression, local: readonly Expression[]): void => {
    if (local.length < spatial.length) {
      const { extent } = band.axes[local.length] as BandAxis;
      b.for(0, extent, 1, (position) => walk(channel, [...local, position]));
      return;
    }
    const source = local.map((position, i) => add(origin[i] as Expression, position));
    const inside = multiply(...source.map((at, i) => isElement(spatial[i] as Spatial, at)));
    const address = bandAddress(band, channel, [...local, 0]);
    const row = new BandRow(site, buffer, lanes, {
      batch: start.batch,
      channel: add(start.channel, channel),
      source,
      origin: origin.at(-1) as Expression,
      address,
    });
    ifElse(
      b,
      inside,
      () => row.copy(length),
      () => row.fill(length),
    );
  };
  b.for(0, band.copied, 1, (channel) => walk(channel, []));
}

/** Whether a position without padding is one of an axis, as an expression. */
function isElement(s: Spatial, at: Expression): Expression {
  const end = add(multiply(subtract(s.size, 1), s.inputDilation), 1);
  const above = provablyAtLeast(at, 0) ? 1 : lessThan(-1, at);
  const below = provablyLess(at, end) ? 1 : lessThan(at, end);
  const divides = s.inputDilation === 1 ? 1 : equalTo(modulo(at, s.inputDilation), 0);
  return multiply(above, below, divides);
}

function ifElse(b: KernelBuilder, test: Expression, then: () => void, other: () => void): void {
  if (equal(test, 1)) then();
  else if (equal(test, 0)) other();
  else b.if(test, then, other);
}

interface RowPlace {
  readonly batch: Expression;
  readonly channel: Expression;
  /** Positions along the outer axes, and of the row's first element, without padding. */
  readonly source: readonly Expression[];
  readonly origin: Expression;
  readonly address: Expression;
}

/** One row of a band. */
class BandRow {
  private readonly site: WindowSite;
  private readonly b: KernelBuilder;
  private readonly buffer: string;
  private readonly lanes: number;
  private readonly place: RowPlace;
  private readonly padding: Value;
  private readonly axis: Spatial;

  constructor(site: WindowSite, buffer: string, lanes: number, place: RowPlace) {
    const { plan, frame } = site;
    const { kind } = plan.node.attributes;
    this.site = site;
    this.b = frame.builder;
    this.buffer = buffer;
    this.lanes = lanes;
    this.place = place;
    const identity = identityOf(kind === 'convolve' ? 'sum' : kind, plan.accumulate);
    this.padding = this.b.literal(computeType(plan.accumulate), identity);
    this.axis = plan.spatial.at(-1) as Spatial;
  }

  /** A row of padding alone. */
  fill(extent: number): void {
    const piece = (column: Expression, count: number) => this.store(column, count, this.padding);
    if (extent < this.lanes) piece(0, extent);
    else this.cover(0, extent, extent, piece);
  }

  /** The elements of a row with the padding at its ends. */
  copy(extent: number): void {
    const { axis, place } = this;
    // Of narrower vectors a row has many: they are not asked one by one.
    const isNarrow = this.site.frame.target.vectorBytes < lineBytes;
    const inside = isNarrow ? this.inside(extent) : undefined;
    if (inside !== undefined) {
      const [from, to] = inside;
      // Padding that is stored where elements belong is stored over by them.
      const pad = (column: Expression, count: number) => this.store(column, count, this.padding);
      this.cover(0, from, extent, pad);
      this.cover(to, extent, extent, pad);
      this.cover(from, to, to, (column, count) =>
        this.store(column, count, this.elements(column, count, false)),
      );
      return;
    }
    this.walk(extent, (column, count) => {
      const first = add(place.origin, column);
      const end = add(first, count - 1);
      const above = provablyAtLeast(first, 0) ? 1 : lessThan(-1, first);
      const below = provablyLess(end, axis.size) ? 1 : lessThan(end, axis.size);
      const isWhole = axis.inputDilation === 1 ? multiply(above, below) : 0;
      const piece = (isMasked: boolean) => () =>
        this.store(column, count, this.elements(column, count, isMasked));
      ifElse(this.b, isWhole, piece(false), piece(true));
    });
  }

  /** Columns without padding, where that is known of every row and there is a vector of them. */
  private inside(extent: number): readonly [number, number] | undefined {
    const { origin } = this.place;
    const { size, inputDilation } = this.axis;
    if (typeof origin !== 'number' || typeof size !== 'number' || inputDilation > 1) return;
    const [from, to] = [Math.max(0, -origin), Math.min(extent, size - origin)];
    return to - from >= this.lanes ? [from, to] : undefined;
  }

  /** Whole vectors from `start` on; the last may begin earlier, and ends before `limit`. */
  private cover(
    start: number,
    end: number,
    limit: number,
    body: (column: Expression, count: number) => void,
  ): void {
    const { lanes } = this;
    const rest = (end - start) % lanes;
    if (end - rest > start) this.b.for(start, end - rest, lanes, (column) => body(column, lanes));
    if (rest > 0) body(Math.min(end - rest, limit - lanes), lanes);
  }

  /** Whole vectors, then what is left of one. */
  private walk(extent: number, body: (column: Expression, count: number) => void): void {
    const { lanes } = this;
    const rest = extent % lanes;
    const whole = extent - rest;
    if (whole > 0) this.b.for(0, whole, lanes, (column) => body(column, lanes));
    if (rest > 0) body(whole, rest);
  }

  private store(column: Expression, count: number, value: Value): void {
    const { b, buffer, lanes, place } = this;
    const limits = count < lanes ? { limits: [{ high: count }] } : {};
    const access = { buffer, address: add(place.address, column), strides: [1], ...limits };
    b.store(access, b.broadcast(value, [lanes]));
  }

  private elements(column: Expression, count: number, isMasked: boolean): Value {
    const { b, site, lanes, place } = this;
    const { plan, frame, names } = site;
    const lane: TileAxis = { name: laneName, count: lanes };
    const tile = [count < lanes ? { ...lane, tail: count } : lane];
    const values = new ValueLowering(placeOn(frame, names, tile));
    const at = add(place.origin, column, variable(laneName, lanes));
    const positions = [...place.source, at].map((position, i) =>
      floorDivide(position, (plan.spatial[i] as Spatial).inputDilation),
    );
    const guard = isMasked ? this.insideRow(values, at) : undefined;
    const index = [place.batch, place.channel, ...inGraphOrder(plan.order, positions)];
    const source = values.value(plan.x, index, guard);
    const cast = lowerCast(b, frame.target, plan.x.dtype, plan.accumulate, false, source);
    return guard === undefined ? cast : b.select(guard, cast, this.padding);
  }

  private insideRow(values: ValueLowering, at: Expression): Value {
    const { b, axis } = this;
    const end = add(multiply(subtract(axis.size, 1), axis.inputDilation), 1);
    const range = b.and(values.atLeast(at, 0), values.below(at, end));
    if (axis.inputDilation === 1) return range;
    return b.and(range, values.below(modulo(at, axis.inputDilation), 1));
  }
}
