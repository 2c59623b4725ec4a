/**
 * A bounded reader of the protobuf wire format: takes bytes, gives fields one by one. Every length
 * is checked before it is used, nothing is copied, and every error names file, field and offset.
 * Wire format: protobuf.dev, "Encoding".
 */
import { type ErrorCode, failure } from '../base/core.js';
import { viewAs } from '../base/little-endian.js';
import { decodeUtf8, shortName } from '../base/text.js';
import type { WireLimits } from './wire-limits.js';

export { defaultWireLimits, type WireLimits } from './wire-limits.js';

/** Smaller contents are copied where they are not aligned. */
const leastMoved = 4096;

const varintType = 0;
const fixed64Type = 1;
const lengthType = 2;
const fixed32Type = 5;
const twoTo32 = 2 ** 32;

/**
 * A cursor over one file. Use: `while (reader.next()) switch (reader.field) { … default: skip }`;
 * each case takes the field's value by exactly one call.
 */
export class WireReader {
  /** Number of the field that `next` found. */
  field = 0;
  private wire = 0;
  private tagStart = 0;
  private valueStart = 0;
  private position = 0;
  private end: number;
  private items = 0;
  private readonly path: string[] = [];
  private readonly view: DataView;
  /** The last varint, as two unsigned halves: exact without an allocation. */
  private low = 0;
  private high = 0;

  private readonly bytes: Uint8Array;
  private readonly file: string;
  private readonly limits: WireLimits;
  private readonly isOwn: boolean;

  /** `isOwn`: nobody else reads the bytes, so that large contents may be moved in them. */
  constructor(bytes: Uint8Array, file: string, limits: WireLimits, isOwn = false) {
    this.isOwn = isOwn;
    this.bytes = bytes;
    this.file = file;
    this.limits = limits;
    this.end = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length > limits.bytes) {
      throw this.fail('OC-PB-09', { what: 'bytes', count: bytes.length, limit: limits.bytes });
    }
  }

  /** Moves to the next field of the current message; false at its end. */
  next(): boolean {
    if (this.position >= this.end) return false;
    this.tagStart = this.position;
    this.readVarint('tag');
    if (this.high !== 0) throw this.fail('OC-PB-04', { what: 'field number above 2^29 − 1' });
    this.field = this.low >>> 3;
    this.wire = this.low & 7;
    this.valueStart = this.position;
    if (this.field === 0) throw this.fail('OC-PB-04', { what: 'field number 0' });
    return true;
  }

  /** Passes over a field that the caller does not know. */
  skip(): void {
    const name = `field ${this.field}`;
    if (this.wire === varintType) this.readVarint(name);
    else if (this.wire === fixed64Type) this.advance(8, name);
    else if (this.wire === lengthType) this.advance(this.readLength(name), name);
    else if (this.wire === fixed32Type) this.advance(4, name);
    else throw this.fail('OC-PB-04', { what: `wire type ${this.wire}` }, name);
  }

  /** A nested message: `read` consumes its fields. `index` counts within a repeated field. */
  message<T>(name: string, read: (reader: WireReader) => T, index?: number): T {
    const step = index === undefined ? name : `${name}[${index}]`;
    this.expect(lengthType, step);
    const length = this.readLength(step);
    if (this.path.length >= this.limits.depth) {
      throw this.fail('OC-PB-05', { limit: this.limits.depth }, step);
    }
    this.count(step);
    const outerEnd = this.end;
    this.end = this.position + length;
    this.path.push(step);
    const result = read(this);
    this.path.pop();
    this.position = this.end;
    this.end = outerEnd;
    return result;
  }

  /** A string field. */
  text(name: string): string {
    const [start, end] = this.range(name);
    const text = decodeUtf8(this.bytes, start, end);
    if (text === null) throw this.fail('OC-PB-06', {}, name);
    return text;
  }

  /** A string field that nothing depends on (documentation): bad UTF-8 reads as empty. */
  looseText(name: string): string {
    const [start, end] = this.range(name);
    return decodeUtf8(this.bytes, start, end) ?? '';
  }

  /** A bytes field, as text when it is UTF-8. */
  byteText(name: string): string | Uint8Array {
    const [start, end] = this.range(name);
    return decodeUtf8(this.bytes, start, end) ?? this.bytes.subarray(start, end);
  }

  /** A bytes field, as a view; of a file of our own, where it can be, one that is aligned. */
  blob(name: string): Uint8Array {
    const [start, end] = this.range(name);
    if (!this.isOwn || end - start < leastMoved) return this.bytes.subarray(start, end);
    // Tag and length stand before it, and have been read.
    const room = start - this.tagStart;
    const place = this.bytes.byteOffset + start;
    const shift = [8, 4].map((size) => place % size).find((need) => need <= room) ?? 0;
    if (shift > 0) this.bytes.copyWithin(start - shift, start, end);
    return this.bytes.subarray(start - shift, end - shift);
  }

  /** An int64 field, exact. */
  int64(name: string): bigint {
    this.expect(varintType, name);
    this.readVarint(name);
    return this.signed();
  }

  /** An int64 field that must be a safe integer. */
  safeInteger(name: string): number {
    this.expect(varintType, name);
    this.readVarint(name);
    return this.signedSafe(name);
  }

  /** A float field. */
  float(name: string): number {
    this.expect(fixed32Type, name);
    return this.fixed32(name);
  }

  /** Part of a repeated int64 field, packed or not, added to `into`. */
  int64s(name: string, into: bigint[]): void {
    this.scalars(name, () => {
      this.readVarint(name);
      into.push(this.signed());
    });
  }

  /** Part of a repeated int64 field of safe integers, at most `limit` in all. */
  safeIntegers(name: string, into: number[], limit: number): void {
    this.scalars(name, () => {
      this.readVarint(name);
      if (into.length >= limit) {
        throw this.fail('OC-PB-09', { what: name, count: into.length + 1, limit }, name);
      }
      into.push(this.signedSafe(name));
    });
  }

  /** Part of a repeated float field. */
  floats(name: string, into: number[]): void {
    if (this.wire === lengthType) {
      for (const value of this.packed(name, Float32Array)) into.push(value);
      return;
    }
    this.expect(fixed32Type, name);
    into.push(this.fixed32(name));
  }

  /** A run of a repeated float field: a view of the file where it is packed and aligned. */
  floatRun(name: string): Float32Array {
    if (this.wire === lengthType) return this.packed(name, Float32Array);
    this.expect(fixed32Type, name);
    return Float32Array.from(this.run(() => this.fixed32(name), name));
  }

  /** A run of a repeated double field. */
  doubleRun(name: string): Float64Array {
    if (this.wire === lengthType) return this.packed(name, Float64Array);
    this.expect(fixed64Type, name);
    const read = (): number => {
      const at = this.position;
      this.advance(8, name);
      return this.view.getFloat64(at, true);
    };
    return Float64Array.from(this.run(read, name));
  }

  /** A run of a repeated int32 field; wider varints are cut to 32 bits as protobuf says. */
  int32Run(name: string): Int32Array {
    return this.varintRun(name, Int32Array, () => this.low | 0);
  }

  /** A run of a repeated int64 field. */
  int64Run(name: string): BigInt64Array {
    return this.varintRun(name, BigInt64Array, () => this.signed());
  }

  /** A run of a repeated uint64 field. */
  uint64Run(name: string): BigUint64Array {
    return this.varintRun(name, BigUint64Array, () => this.unsigned());
  }

  /** An error at the current field; other codes than OC-PB name rules of the format above. */
  fail(
    code: ErrorCode,
    details: Readonly<Record<string, string | number>>,
    name?: string,
  ): ReturnType<typeof failure> {
    const steps = name === undefined ? this.path : [...this.path, name];
    const shown = steps.length > 9 ? [...steps.slice(0, 4), '…', ...steps.slice(-4)] : steps;
    const field = shown.length === 0 ? 'file' : shown.join('.');
    const where = `${shortName(this.file)}: ${field} at byte ${this.tagStart}`;
    return failure(code, { ...details, field, offset: this.tagStart }, { where });
  }

  private expect(wire: number, name: string): void {
    if (this.wire === wire) return;
    throw this.fail('OC-PB-03', { expected: wire, found: this.wire }, name);
  }

  private count(name: string): void {
    this.items += 1;
    if (this.items <= this.limits.items) return;
    const { items } = this.limits;
    throw this.fail('OC-PB-09', { what: 'items', count: this.items, limit: items }, name);
  }

  private range(name: string): readonly [number, number] {
    this.expect(lengthType, name);
    const length = this.readLength(name);
    const start = this.position;
    this.count(name);
    this.advance(length, name);
    return [start, start + length];
  }

  private packed<T>(
    name: string,
    type: {
      readonly BYTES_PER_ELEMENT: number;
      new (buffer: ArrayBufferLike, offset: number, length: number): T;
    },
  ): T {
    const [start, end] = this.range(name);
    if ((end - start) % type.BYTES_PER_ELEMENT !== 0) {
      throw this.fail('OC-PB-10', { bytes: end - start, size: type.BYTES_PER_ELEMENT }, name);
    }
    return viewAs(this.bytes.subarray(start, end), type);
  }

  private scalars(name: string, readOne: () => void): void {
    if (this.wire !== lengthType) {
      this.expect(varintType, name);
      readOne();
      return;
    }
    const length = this.readLength(name);
    const end = this.position + length;
    this.within(end, () => {
      while (this.position < this.end) readOne();
    });
  }

  /** Runs `read` with the end moved in, so that a number cannot reach past its packed block. */
  private within(end: number, read: () => void): void {
    const outerEnd = this.end;
    this.end = end;
    read();
    this.end = outerEnd;
  }

  /** Consecutive unpacked values of one field, so that each does not become an array of its own. */
  private run(readOne: () => number, name: string): number[] {
    this.count(name);
    const values = [readOne()];
    while (this.sameTagFollows()) {
      this.position += this.valueStart - this.tagStart;
      values.push(readOne());
    }
    return values;
  }

  private sameTagFollows(): boolean {
    const length = this.valueStart - this.tagStart;
    if (this.position + length > this.end) return false;
    for (let i = 0; i < length; i++) {
      if (this.bytes[this.tagStart + i] !== this.bytes[this.position + i]) return false;
    }
    return true;
  }

  private varintRun<V extends number | bigint, T extends { [index: number]: V }>(
    name: string,
    type: new (length: number) => T,
    value: () => V,
  ): T {
    this.count(name);
    if (this.wire !== lengthType) {
      this.expect(varintType, name);
      const values: V[] = [];
      do {
        if (values.length > 0) this.position += this.valueStart - this.tagStart;
        this.readVarint(name);
        values.push(value());
      } while (this.sameTagFollows());
      const array = new type(values.length);
      for (let i = 0; i < values.length; i++) array[i] = values[i] as V;
      return array;
    }
    const bytes = this.readLength(name);
    const end = this.position + bytes;
    let length = 0;
    for (let at = this.position; at < end; at++) if ((this.bytes[at] as number) < 128) length += 1;
    const array = new type(length);
    this.within(end, () => {
      for (let i = 0; this.position < this.end; i++) {
        this.readVarint(name);
        array[i] = value();
      }
    });
    return array;
  }

  private fixed32(name: string): number {
    const at = this.position;
    this.advance(4, name);
    return this.view.getFloat32(at, true);
  }

  private advance(length: number, name: string): void {
    if (length > this.end - this.position) {
      throw this.fail('OC-PB-01', { need: length, have: this.end - this.position }, name);
    }
    this.position += length;
  }

  private readLength(name: string): number {
    this.readVarint(name);
    const length = this.high * twoTo32 + this.low;
    const have = this.end - this.position;
    if (length > have) throw this.fail('OC-PB-01', { need: length, have }, name);
    return length;
  }

  private readVarint(name: string): void {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.position >= this.end) throw this.fail('OC-PB-01', { need: 1, have: 0 }, name);
      const byte = this.bytes[this.position++] as number;
      const bits = byte & 0x7f;
      if (i < 4) low += bits * 2 ** (7 * i);
      else if (i === 4) {
        low += (bits & 15) * 2 ** 28;
        high = bits >> 4;
      } else high += bits * 2 ** (7 * i - 32);
      if (byte < 0x80) {
        if (high >= twoTo32) throw this.fail('OC-PB-02', {}, name);
        this.low = low;
        this.high = high;
        return;
      }
    }
    throw this.fail('OC-PB-02', {}, name);
  }

  private unsigned(): bigint {
    if (this.high === 0) return BigInt(this.low);
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  private signed(): bigint {
    return BigInt.asIntN(64, this.unsigned());
  }

  private signedSafe(name: string): number {
    const value = (this.high | 0) * twoTo32 + this.low;
    if (Number.isSafeInteger(value)) return value;
    throw this.fail('OC-PB-08', { value: String(this.signed()) }, name);
  }
}
