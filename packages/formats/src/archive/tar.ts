/**
 * Reads tar archives (ustar, GNU long names, pax paths), plain or gzipped, in memory. Links and
 * devices are refused; files are views of the unpacked bytes. Format: POSIX.1-2001 pax.
 */
import { Gunzip } from 'fflate/browser';
import { failure, isFailure } from '../base/core.js';
import { decodeUtf8, shortName } from '../base/text.js';
import { crc32 } from './crc32.js';
import { type ArchiveLimits, defaultArchiveLimits, safeEntryName } from './limits.js';

const block = 512;
const step = 65_536;
/** Header and trailer of RFC 1952. */
const smallestGzip = 18;

/** Unpacks gzip with a bound. Errors: OC-ZIP-01, 03, 05. */
export function gunzip(
  bytes: Uint8Array,
  limit: number = defaultArchiveLimits.bytes,
  fileName = 'file.gz',
): Uint8Array {
  const where = shortName(fileName);
  if (!isGzip(bytes) || bytes.length < smallestGzip) {
    throw failure('OC-ZIP-01', { reason: 'it is no gzip stream' }, { where });
  }
  const parts: Uint8Array[] = [];
  let total = 0;
  let members = 0;
  let ended = false;
  const stream = new Gunzip((part, final) => {
    total += part.length;
    ended ||= final;
    if (total > limit) throw failure('OC-ZIP-03', { name: where, limit }, { where });
    parts.push(part);
  });
  stream.onmember = () => {
    members += 1;
  };
  try {
    for (let at = 0; at < bytes.length; at += step) {
      stream.push(bytes.subarray(at, at + step), at + step >= bytes.length);
    }
  } catch (cause) {
    if (isFailure(cause)) throw cause;
    throw failure('OC-ZIP-01', { reason: 'the gzip stream is damaged' }, { where, cause });
  }
  if (!ended) throw failure('OC-ZIP-01', { reason: 'the gzip stream ends too early' }, { where });
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Only the last member's checksum stands at the end of the file.
  if (members <= 1 && view.getUint32(bytes.length - 8, true) !== crc32(joined)) {
    throw failure('OC-ZIP-05', { name: where }, { where });
  }
  return joined;
}

/** Whether bytes begin as gzip does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * The files of a .tar or .tar.gz by name. Errors: OC-TAR-01 for damage and links, OC-ZIP-02 for
 * names that leave the archive, OC-ZIP-03 for unpacked sizes over the limit.
 */
export function readTar(
  archive: Uint8Array,
  limits: Partial<ArchiveLimits> = {},
  fileName = 'archive.tar',
): ReadonlyMap<string, Uint8Array> {
  const bounds = { ...defaultArchiveLimits, ...limits };
  const where = shortName(fileName);
  const bytes = isGzip(archive) ? gunzip(archive, bounds.bytes, fileName) : archive;
  const wrong = (reason: string): Error => failure('OC-TAR-01', { reason }, { where });
  const files = new Map<string, Uint8Array>();
  let longName: string | null = null;
  let count = 0;
  for (let at = 0; at + block <= bytes.length; ) {
    const header = bytes.subarray(at, at + block);
    if (header.every((byte) => byte === 0)) return files;
    if (readNumber(header, 148, 8) !== checksum(header)) throw wrong(`bad checksum at byte ${at}`);
    const size = readNumber(header, 124, 12);
    const start = at + block;
    if (!Number.isSafeInteger(size) || size < 0 || size > bytes.length - start) {
      throw wrong(`an entry at byte ${at} reaches past the end`);
    }
    const body = bytes.subarray(start, start + size);
    at = start + Math.ceil(size / block) * block;
    count += 1;
    if (count > bounds.entries) {
      throw failure('OC-PB-09', { what: 'entries', count, limit: bounds.entries }, { where });
    }
    const type = String.fromCharCode(header[156] as number);
    if (type === 'L') longName = readText(body, 0, body.length);
    else if (type === 'x') longName = paxPath(body) ?? longName;
    else if (type !== 'g') {
      const name = safeEntryName(longName ?? headerName(header), fileName);
      longName = null;
      if (type === '5') continue;
      if (type !== '0' && type !== '\0') throw wrong(`"${shortName(name)}" is a link or device`);
      if (files.has(name)) throw wrong(`"${shortName(name)}" stands twice`);
      files.set(name, body);
    }
  }
  throw wrong('it has no end');
}

function readText(bytes: Uint8Array, start: number, end: number): string {
  let last = start;
  while (last < end && bytes[last] !== 0) last += 1;
  return decodeUtf8(bytes, start, last) ?? '';
}

function headerName(header: Uint8Array): string {
  const name = readText(header, 0, 100);
  const isUstar = readText(header, 257, 262) === 'ustar';
  const prefix = isUstar ? readText(header, 345, 500) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Octal text, or base 256 where the top bit is set; NaN when it is neither. */
function readNumber(header: Uint8Array, start: number, length: number): number {
  if ((header[start] as number) >= 0x80) {
    let value = (header[start] as number) & 0x7f;
    for (let i = start + 1; i < start + length; i++) value = value * 256 + (header[i] as number);
    return value;
  }
  const text = readText(header, start, start + length).trim();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || '0', 8) : Number.NaN;
}

function checksum(header: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i >= 148 && i < 156 ? 32 : byte;
  return sum;
}

/** The path record of a pax header: lines of "length key=value\n". */
function paxPath(body: Uint8Array): string | null {
  const text = decodeUtf8(body) ?? '';
  const match = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text);
  return match?.[1] ?? null;
}
