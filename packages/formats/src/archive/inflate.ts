/** Raw DEFLATE (RFC 1951) into memory of a known size. Takes and gives bytes; damage throws. */

/** Codes and extra bits of lengths and distances, by symbol. */
function basesOf(first: number, extras: readonly number[]): readonly (readonly [number, number])[] {
  let base = first;
  return extras.map((extra) => {
    const start = base;
    base += 2 ** extra;
    return [start, extra] as const;
  });
}

const repeated = (counts: readonly number[]): readonly number[] =>
  counts.flatMap((count, extra) => Array.from({ length: count }, () => extra));

/** Order in which the lengths of the codes of code lengths come. */
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

interface Huffman {
  /** By the next bits: symbol · 16 + length of its code; 0 where there is none. */
  readonly entries: Uint16Array;
  readonly bits: number;
}

interface Fixed {
  readonly literals: Huffman;
  readonly distances: Huffman;
  readonly lengthBases: readonly (readonly [number, number])[];
  readonly distanceBases: readonly (readonly [number, number])[];
}

let fixed: Fixed | undefined;

/** Made when the first stream is read: most programs read none. */
function fixedTables(): Fixed {
  const literal = (symbol: number): number =>
    symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
  fixed ??= {
    literals: huffmanOf(Uint8Array.from({ length: 288 }, (_, symbol) => literal(symbol))),
    distances: huffmanOf(new Uint8Array(30).fill(5)),
    // The longest has a symbol of its own, without extra bits.
    lengthBases: [...basesOf(3, repeated([8, 4, 4, 4, 4, 4])), [258, 0]],
    distanceBases: basesOf(1, repeated([4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2])),
  };
  return fixed;
}

const damaged = (): Error => new Error('the stream is damaged');

function huffmanOf(lengths: Uint8Array): Huffman {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  counts[0] = 0;
  const next = new Uint32Array(17);
  let bits = 0;
  for (let length = 1; length < 16; length++) {
    const used = (next[length] ?? 0) + (counts[length] ?? 0);
    if (used > 2 ** length) throw damaged();
    next[length + 1] = 2 * used;
    if ((counts[length] ?? 0) > 0) bits = length;
  }
  const entries = new Uint16Array(2 ** bits);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    let code = next[length] ?? 0;
    next[length] = code + 1;
    // Codes come with their first bit lowest.
    let reversed = 0;
    for (let bit = 0; bit < length; bit++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (let at = reversed; at < entries.length; at += 2 ** length) {
      entries[at] = symbol * 16 + length;
    }
  });
  return { entries, bits };
}

class Inflater {
  private readonly from: Uint8Array;
  private readonly to: Uint8Array;
  private position = 0;
  private hold = 0;
  private held = 0;
  written = 0;

  constructor(from: Uint8Array, to: Uint8Array) {
    this.from = from;
    this.to = to;
  }

  private fill(count: number): void {
    while (this.held < count && this.position < this.from.length) {
      this.hold |= (this.from[this.position++] as number) << this.held;
      this.held += 8;
    }
  }

  private take(count: number): number {
    this.fill(count);
    if (this.held < count) throw damaged();
    const value = this.hold & (2 ** count - 1);
    this.hold >>>= count;
    this.held -= count;
    return value;
  }

  private symbol({ entries, bits }: Huffman): number {
    this.fill(bits);
    const entry = entries[this.hold & (2 ** bits - 1)] as number;
    const length = entry & 15;
    if (length === 0 || length > this.held) throw damaged();
    this.hold >>>= length;
    this.held -= length;
    return entry >> 4;
  }

  /** Ends with the stream, or where the memory is full. */
  run(): void {
    for (let isLast = false; !isLast; ) {
      isLast = this.take(1) === 1;
      const kind = this.take(2);
      if (kind === 3) throw damaged();
      const isOver = kind === 0 ? this.stored() : this.packed(kind === 1);
      if (isOver) return;
    }
  }

  private stored(): boolean {
    // What is held beyond the byte that the header ends in was only looked at.
    this.take(this.held & 7);
    const length = this.take(16);
    if (this.take(16) !== 0xffff - length) throw damaged();
    this.position -= this.held >> 3;
    this.hold = 0;
    this.held = 0;
    if (length > this.from.length - this.position) throw damaged();
    const fits = Math.min(length, this.to.length - this.written);
    this.to.set(this.from.subarray(this.position, this.position + fits), this.written);
    this.position += length;
    this.written += fits;
    return fits < length;
  }

  private packed(isFixed: boolean): boolean {
    const { lengthBases, distanceBases, ...usual } = fixedTables();
    const { literals, distances } = isFixed ? usual : this.tables();
    const { to } = this;
    for (;;) {
      const symbol = this.symbol(literals);
      if (symbol === 256) return false;
      if (symbol < 256) {
        if (this.written === to.length) return true;
        to[this.written++] = symbol;
        continue;
      }
      const [base, extra] = lengthBases[symbol - 257] ?? [0, 0];
      if (base === 0) throw damaged();
      const length = base + this.take(extra);
      const [near, more] = distanceBases[this.symbol(distances)] ?? [0, 0];
      const distance = near + this.take(more);
      if (near === 0 || distance > this.written) throw damaged();
      const end = Math.min(this.written + length, to.length);
      const isOver = end < this.written + length;
      // What is copied may be what this copy has written.
      for (let at = this.written; at < end; at++) to[at] = to[at - distance] as number;
      this.written = end;
      if (isOver) return true;
    }
  }

  private tables(): Pick<Fixed, 'literals' | 'distances'> {
    const [literals, distances] = [this.take(5) + 257, this.take(5) + 1];
    const order = lengthOrder.slice(0, this.take(4) + 4);
    const first = new Uint8Array(19);
    for (const symbol of order) first[symbol] = this.take(3);
    const codes = huffmanOf(first);
    const lengths = new Uint8Array(literals + distances);
    for (let at = 0; at < lengths.length; ) {
      const symbol = this.symbol(codes);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw damaged();
      const value = symbol === 16 ? (lengths[at - 1] as number) : 0;
      const [least, bits] = symbol === 16 ? [3, 2] : symbol === 17 ? [3, 3] : [11, 7];
      const end = at + least + this.take(bits);
      if (end > lengths.length) throw damaged();
      lengths.fill(value, at, end);
      at = end;
    }
    return {
      literals: huffmanOf(lengths.subarray(0, literals)),
      distances: huffmanOf(lengths.subarray(literals)),
    };
  }
}

/**
 * Unpacks a stream into `to`; gives the bytes written, all of `to` where the stream holds more.
 * Throws where the stream is damaged or ends early.
 */
export function inflateInto(from: Uint8Array, to: Uint8Array): number {
  const inflater = new Inflater(from, to);
  inflater.run();
  return inflater.written;
}
