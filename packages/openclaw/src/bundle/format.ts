/**
 * Bundles: a compiled model in one file. A fixed head, a JSON header, then sections of bytes:
 *
 *   "CLAWBNDL" · u32 version · u32 length of the header · SHA-256 of the header · header · sections
 *
 * Integers are little-endian; sections start at multiples of 64 bytes and are named by their hash.
 */
import { createHash } from 'node:crypto';
import { failure } from '@open-claw/core/graph';

export const bundleVersion = 1;

const magic = Buffer.from('CLAWBNDL', 'latin1');
const headBytes = magic.length + 4 + 4 + 32;
const alignment = 64;
/** A header describes kernels and weights; a longer one is no header. */
const mostHeaderBytes = 2 ** 26;
const mostSections = 2 ** 16;

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** The file has the mark of a bundle. */
export const isBundle = (bytes: Uint8Array): boolean =>
  bytes.length >= magic.length && magic.equals(bytes.subarray(0, magic.length));

export const markBytes = magic.length;

export const damaged = (reason: string): Error => failure('OC-BUNDLE-01', { reason });

const aligned = (offset: number): number => Math.ceil(offset / alignment) * alignment;

interface SectionPlace {
  readonly sha256: string;
  readonly offset: number;
  readonly bytes: number;
}

/** `fields` is JSON; equal sections are stored once. */
export function writeContainer(
  fields: Readonly<Record<string, unknown>>,
  sections: readonly Uint8Array[],
): Uint8Array {
  const unique = new Map(sections.map((bytes) => [sha256(bytes), bytes]));
  const places: SectionPlace[] = [];
  let end = 0;
  for (const [hash, bytes] of unique) {
    places.push({ sha256: hash, offset: aligned(end), bytes: bytes.length });
    end = aligned(end) + bytes.length;
  }
  const header = Buffer.from(JSON.stringify({ ...fields, sections: places }), 'utf8');
  const start = aligned(headBytes + header.length);
  const file = Buffer.alloc(start + end);
  magic.copy(file);
  file.writeUInt32LE(bundleVersion, magic.length);
  file.writeUInt32LE(header.length, magic.length + 4);
  createHash('sha256')
    .update(header)
    .digest()
    .copy(file, magic.length + 8);
  header.copy(file, headBytes);
  const contents = [...unique.values()];
  for (const [i, { offset }] of places.entries()) file.set(contents[i] ?? [], start + offset);
  return new Uint8Array(file.buffer, file.byteOffset, file.length);
}

export interface Container {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Views into the file, by hash. */
  readonly sections: ReadonlyMap<string, Uint8Array>;
}

/** Checks every length and hash before it uses one. Throws OC-BUNDLE-01, OC-BUNDLE-02. */
export function readContainer(bytes: Uint8Array): Container {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isBundle(file)) throw damaged('it does not begin as a bundle');
  if (file.length < headBytes) throw damaged('it ends inside its head');
  const version = file.readUInt32LE(magic.length);
  if (version !== bundleVersion) {
    const details = { made: `bundle format ${version}`, have: `bundle format ${bundleVersion}` };
    throw failure('OC-BUNDLE-02', details, { kind: 'refused' });
  }
  const headerBytes = file.readUInt32LE(magic.length + 4);
  if (headerBytes > mostHeaderBytes) throw damaged('its header is too long');
  if (headerBytes > file.length - headBytes) throw damaged('it ends inside its header');
  const header = file.subarray(headBytes, headBytes + headerBytes);
  const hash = file.subarray(magic.length + 8, headBytes);
  if (!createHash('sha256').update(header).digest().equals(hash)) {
    throw damaged('the hash of its header is another');
  }
  const fields = objectOf(parsed(header), 'header');
  const start = aligned(headBytes + headerBytes);
  const sections = new Map<string, Uint8Array>();
  for (const each of listOf(fields['sections'], 'sections', mostSections)) {
    const place = objectOf(each, 'section');
    const wanted = textOf(place['sha256'], 'section');
    const offset = wholeOf(place['offset'], 'offset');
    const length = wholeOf(place['bytes'], 'length');
    const left = file.length - start - offset;
    if (offset % alignment !== 0 || left < 0 || length > left) {
      throw damaged('a section lies outside of it');
    }
    const content = file.subarray(start + offset, start + offset + length);
    if (sha256(content) !== wanted) throw damaged('the hash of a section is another');
    sections.set(wanted, content);
  }
  return { fields, sections };
}

function parsed(header: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch {
    throw damaged('its header is no JSON');
  }
}

/** Fields of JSON by kind; each throws OC-BUNDLE-01 with the name of the field. */
export function objectOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw damaged(`${name} is no object`);
}

export function listOf(value: unknown, name: string, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw damaged(`${name} is no list of at most ${most}`);
}

export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw damaged(`${name} is no text`);
}

export function wholeOf(value: unknown, name: string): number {
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw damaged(`${name} is no whole number`);
}
