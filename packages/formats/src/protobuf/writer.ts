/** Writes the protobuf wire format: fields in call order, nested messages without copies. */
import { bytesFromArray } from '../base/little-endian.js';
import { encodeUtf8 } from '../base/text.js';

/** Collects the fields of one message; `finish` joins them. */
export class WireWriter {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  /** int32, int64, uint64 and enum fields. */
  varint(field: number, value: number | bigint): this {
    this.tag(field, 0);
    return this.put(encodeVarint(BigInt(value)));
  }

  float(field: number, value: number): this {
    this.tag(field, 5);
    return this.put(bytesFromArray('f32', Float32Array.of(value)));
  }

  text(field: number, value: string): this {
    return this.blob(field, encodeUtf8(value));
  }

  blob(field: number, value: Uint8Array): this {
    this.tag(field, 2);
    this.put(encodeVarint(BigInt(value.length)));
    return this.put(value);
  }

  /** A packed repeated field of varints. */
  packedVarints(field: number, values: Iterable<number | bigint>): this {
    const inner = new WireWriter();
    for (const value of values) inner.put(encodeVarint(BigInt(value)));
    return this.append(field, inner);
  }

  /** A nested message, filled by `write`. */
  message(field: number, write: (writer: WireWriter) => void): this {
    const inner = new WireWriter();
    write(inner);
    return this.append(field, inner);
  }

  finish(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  private append(field: number, inner: WireWriter): this {
    this.tag(field, 2);
    this.put(encodeVarint(BigInt(inner.length)));
    for (const part of inner.parts) this.put(part);
    return this;
  }

  private tag(field: number, wire: number): void {
    this.put(encodeVarint(BigInt(field * 8 + wire)));
  }

  private put(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }
}

function encodeVarint(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value);
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
