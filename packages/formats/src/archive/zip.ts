/**
 * Reads zip archives in memory: methods stored and deflate, zip64 included. Sizes are checked
 * before anything is unpacked, so that a small file cannot ask for much memory.
 * Format: APPNOTE.TXT 6.3.
 */
import { failure } from '../base/core.js';
import { decodeUtf8, shortName } from '../base/text.js';
import { crc32 } from './crc32.js';
import { inflateInto } from './inflate.js';
import { type ArchiveLimits, defaultArchiveLimits, safeEntryName } from './limits.js';

export interface ZipEntry {
  readonly name: string;
  /** Unpacked size. */
  readonly bytes: number;
  /** Unpacks and checks the entry. */
  read(): Uint8Array;
}

const endMark = 0x06054b50;
const end64Mark = 0x06064b50;
const locatorMark = 0x07064b50;
const centralMark = 0x02014b50;
const localMark = 0x04034b50;
/** No deflate stream grows by more (RFC 1951: 258 bytes from two bits). */
const largestGrowth = 1032;

/** The files of an archive, in its order; folders are left out. Errors: OC-ZIP-01 … 05. */
export function readZip(
  bytes: Uint8Array,
  limits: Partial<ArchiveLimits> = {},
  fileName = 'archive.zip',
): readonly ZipEntry[] {
  const bounds = { ...defaultArchiveLimits, ...limits };
  const where = shortName(fileName);
  const wrong = (reason: string): Error => failure('OC-ZIP-01', { reason }, { where });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u16 = (at: number): number => {
    if (at < 0 || at + 2 > bytes.length) throw wrong('it ends too early');
    return view.getUint16(at, true);
  };
  const u32 = (at: number): number => u16(at) + u16(at + 2) * 65536;
  const u64 = (at: number): number => {
    const value = u32(at + 4) * 2 ** 32 + u32(at);
    if (Number.isSafeInteger(value)) return value;
    throw wrong('a size above 2^53');
  };
  const end = findEnd(bytes, u32);
  if (end < 0) throw wrong('no end record');
  const is64 = end >= 20 && u32(end - 20) === locatorMark;
  const end64 = is64 ? u64(end - 12) : 0;
  if (is64 && u32(end64) !== end64Mark) throw wrong('no zip64 end record');
  const count = is64 ? u64(end64 + 32) : u16(end + 10);
  let at = is64 ? u64(end64 + 48) : u32(end + 16);
  if (count > bounds.entries) {
    throw failure('OC-PB-09', { what: 'entries', count, limit: bounds.entries }, { where });
  }

  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let packedTotal = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (u32(at) !== centralMark) throw wrong('a central record is missing');
    const flags = u16(at + 8);
    const method = u16(at + 10);
    const crc = u32(at + 16);
    const nameLength = u16(at + 28);
    const extraLength = u16(at + 30);
    const next = at + 46 + nameLength + extraLength + u16(at + 32);
    if (next > bytes.length) throw wrong('it ends too early');
    const raw = decodeUtf8(bytes, at + 46, at + 46 + nameLength);
    if (raw === null) throw wrong('an entry name is not UTF-8');
    const wide = [u32(at + 24), u32(at + 20), u32(at + 42)];
    readZip64(at + 46 + nameLength, extraLength, wide);
    const [size, packed, local] = wide as [number, number, number];
    const name = safeEntryName(raw, fileName);
    at = next;
    if (raw.endsWith('/')) continue;
    const shown = shortName(name);
    if (names.has(name)) throw wrong(`the entry "${shown}" stands twice`);
    names.add(name);
    const unsupported = flags & 1 ? 'encryption' : method === 0 || method === 8 ? '' : `${method}`;
    if (unsupported !== '') {
      const reason = unsupported === 'encryption' ? unsupported : `method ${unsupported}`;
      throw failure('OC-ZIP-04', { name: shown, reason }, { where, kind: 'refused' });
    }
    packedTotal += packed;
    total += size;
    // Entries that overlap would make little data unpack to much.
    if (packedTotal > bytes.length) throw wrong('entries overlap or reach past the end');
    const limit = Math.min(bounds.bytes, method === 0 ? packed : packed * largestGrowth + 64);
    if (size > limit || total > bounds.bytes) {
      throw failure('OC-ZIP-03', { name: shown, limit }, { where });
    }
    entries.push({
      name,
      bytes: size,
      read: () => unpack(local, packed, size, method, crc, shown),
    });
  }
  return entries;

  /** Replaces sizes that are marked as too wide by those of the zip64 extra field. */
  function readZip64(start: number, length: number, values: number[]): void {
    for (let field = start; field + 4 <= start + length; field += 4 + u16(field + 2)) {
      if (u16(field) !== 1) continue;
      let from = field + 4;
      const stop = from + u16(field + 2);
      for (const [i, value] of values.entries()) {
        if (value !== 0xffffffff) continue;
        if (from + 8 > stop) throw wrong('a zip64 field is too short');
        values[i] = u64(from);
        from += 8;
      }
    }
  }

  function unpack(
    local: number,
    packed: number,
    size: number,
    method: number,
    crc: number,
    shown: string,
  ): Uint8Array {
    if (u32(local) !== localMark) throw wrong(`the entry "${shown}" has no local record`);
    const start = local + 30 + u16(local + 26) + u16(local + 28);
    if (start + packed > bytes.length) throw wrong(`the entry "${shown}" reaches past the end`);
    const body = bytes.subarray(start, start + packed);
    const data = method === 0 ? body : inflate(body, size, shown);
    if (data.length !== size) throw wrong(`the entry "${shown}" has another size than stated`);
    if (crc32(data) !== crc) throw failure('OC-ZIP-05', { name: shown }, { where });
    return data;
  }

  function inflate(body: Uint8Array, size: number, shown: string): Uint8Array {
    try {
      // One byte more than stated shows a stream that goes on.
      const out = new Uint8Array(size + 1);
      return out.subarray(0, inflateInto(body, out));
    } catch (cause) {
      const reason = `the entry "${shown}" is damaged`;
      throw failure('OC-ZIP-01', { reason }, { where, cause });
    }
  }
}

/** Offset of the end record, searched backwards through the longest possible comment. */
function findEnd(bytes: Uint8Array, u32: (at: number) => number): number {
  const first = Math.max(0, bytes.length - 22 - 65535);
  for (let at = bytes.length - 22; at >= first; at--) {
    if (bytes[at] === 0x50 && u32(at) === endMark) return at;
  }
  return -1;
}
