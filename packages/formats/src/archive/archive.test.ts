import { hostTensor } from '@open-claw/core/internal';
import { gzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { codeOf, mutate, randomIntegers } from '../base/testing.js';
import { encodeUtf8 } from '../base/text.js';
import { writeNpy } from '../npy.js';
import { readNpz } from '../npz.js';
import { crc32 } from './crc32.js';
import { gunzip, readTar } from './tar.js';
import { readZip } from './zip.js';

function readAll(bytes: Uint8Array, limits = {}): Map<string, Uint8Array> {
  return new Map(readZip(bytes, limits).map((entry) => [entry.name, entry.read()]));
}

const text = encodeUtf8('hello hello hello hello');

/** Changes bytes at the first place where `mark` stands. */
function patch(
  bytes: Uint8Array,
  mark: readonly number[],
  offset: number,
  value: number[],
): Uint8Array {
  const copy = bytes.slice();
  const at = copy.findIndex((_, i) => mark.every((byte, j) => copy[i + j] === byte));
  copy.set(value, at + offset);
  return copy;
}

const central = [0x50, 0x4b, 1, 2];

describe('zip', () => {
  it('reads stored and deflated entries and leaves folders out', () => {
    const bytes = zipSync({ 'a.txt': text, dir: { 'b.txt': [text, { level: 0 }] } });
    expect([...readAll(bytes)]).toEqual([
      ['a.txt', text],
      ['dir/b.txt', text],
    ]);
  });

  it('refuses names that leave the archive', () => {
    for (const name of ['../x', 'a/../../x', '/x', 'C:x', 'a\\x', 'x\0y']) {
      expect(codeOf(() => readZip(zipSync({ [name]: text })))).toBe('OC-ZIP-02');
    }
  });

  it('bounds what entries unpack to, before unpacking', () => {
    const bytes = zipSync({ bomb: new Uint8Array(10_000_000) });
    expect(bytes.length).toBeLessThan(20_000);
    expect(codeOf(() => readZip(bytes, { bytes: 1_000_000 }))).toBe('OC-ZIP-03');
    const claims = patch(zipSync({ a: text }), central, 24, [255, 255, 255, 127]);
    expect(codeOf(() => readZip(claims))).toBe('OC-ZIP-03');
    const less = patch(zipSync({ a: text }), central, 24, [5, 0, 0, 0]);
    expect(codeOf(() => readAll(less))).toBe('OC-ZIP-01');
    expect(codeOf(() => readZip(zipSync({ a: text, b: text }), { entries: 1 }))).toBe('OC-PB-09');
  });

  it('refuses damage', () => {
    const bytes = zipSync({ a: text });
    expect(codeOf(() => readZip(new Uint8Array(0)))).toBe('OC-ZIP-01');
    expect(codeOf(() => readZip(bytes.subarray(0, bytes.length - 1)))).toBe('OC-ZIP-01');
    expect(codeOf(() => readAll(patch(bytes, central, 16, [1, 2, 3, 4])))).toBe('OC-ZIP-05');
    expect(codeOf(() => readAll(patch(bytes, central, 8, [1, 0])))).toBe('OC-ZIP-04');
    expect(codeOf(() => readAll(patch(bytes, central, 10, [14, 0])))).toBe('OC-ZIP-04');
    expect(codeOf(() => readAll(patch(bytes, central, 20, [255, 255])))).toBe('OC-ZIP-01');
    expect(codeOf(() => readAll(patch(bytes, central, 42, [255, 255])))).toBe('OC-ZIP-01');
  });

  it('survives mutated bytes', () => {
    const original = zipSync({ 'a.npy': writeNpy(hostTensor('f32', [4], [1, 2, 3, 4])), b: text });
    const random = randomIntegers(99);
    let failed = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = mutate(original, random, 3, 5);
      if (codeOf(() => readAll(bytes)) !== 'no error') failed += 1;
    }
    expect(failed).toBeGreaterThan(500);
  });
});

describe('npz', () => {
  it('reads arrays by name and refuses what is not an array', () => {
    const tensor = hostTensor('f32', [2], [1, 2]);
    const bytes = zipSync({ 'x.npy': writeNpy(tensor), 'dir/y.npy': writeNpy(tensor) });
    expect([...readNpz(bytes)]).toEqual([
      ['x', tensor],
      ['dir/y', tensor],
    ]);
    expect(codeOf(() => readNpz(zipSync({ 'x.npy': text })))).toBe('OC-NPY-01');
    expect(codeOf(() => readNpz(zipSync({ '../x.npy': text })))).toBe('OC-ZIP-02');
  });
});

function tarEntry(name: string, body: Uint8Array, type = '0'): Uint8Array {
  const header = new Uint8Array(512);
  header.set(encodeUtf8(name).subarray(0, 100));
  header.set(encodeUtf8(`${body.length.toString(8).padStart(11, '0')}\0`), 124);
  header.set(encodeUtf8(type), 156);
  header.set(encodeUtf8('ustar\u000000'), 257);
  header.fill(32, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(encodeUtf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  const padded = new Uint8Array(Math.ceil(body.length / 512) * 512);
  padded.set(body);
  return Uint8Array.from([...header, ...padded]);
}

function tar(...entries: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([...entries.flatMap((each) => [...each]), ...new Uint8Array(1024)]);
}

describe('tar', () => {
  it('reads plain and gzipped archives, long names and folders', () => {
    const long = `${'d/'.repeat(80)}file`;
    const pax = encodeUtf8('20 path=pax/name.txt\n');
    const bytes = tar(
      tarEntry('dir/', new Uint8Array(0), '5'),
      tarEntry('./dir/a', text),
      tarEntry('././@LongLink', encodeUtf8(`${long}\0`), 'L'),
      tarEntry('cut', text),
      tarEntry('PaxHeader', pax, 'x'),
      tarEntry('cut', text),
    );
    const names = ['dir/a', long, 'pax/name.txt'];
    expect([...readTar(bytes).keys()]).toEqual(names);
    const unpacked = readTar(gzipSync(bytes));
    expect([...unpacked.keys()]).toEqual(names);
    expect(unpacked.get('dir/a')).toEqual(text);
  });

  it('refuses links, names that leave, damage and bombs', () => {
    const none = new Uint8Array(0);
    expect(codeOf(() => readTar(tar(tarEntry('a', none, '2'))))).toBe('OC-TAR-01');
    expect(codeOf(() => readTar(tar(tarEntry('../a', text))))).toBe('OC-ZIP-02');
    expect(codeOf(() => readTar(tar(tarEntry('/a', text))))).toBe('OC-ZIP-02');
    expect(codeOf(() => readTar(tarEntry('a', text)))).toBe('OC-TAR-01');
    expect(codeOf(() => readTar(tar(tarEntry('a', text)).fill(1, 0, 1)))).toBe('OC-TAR-01');
    expect(codeOf(() => readTar(tar(tarEntry('a', text), tarEntry('a', text))))).toBe('OC-TAR-01');
    const bomb = gzipSync(new Uint8Array(20_000_000));
    expect(codeOf(() => readTar(bomb, { bytes: 1_000_000 }))).toBe('OC-ZIP-03');
    const packed = gzipSync(tar(tarEntry('a', text)));
    expect(codeOf(() => readTar(packed.subarray(0, 60)))).toBe('OC-ZIP-01');
    const wrong = packed.slice();
    wrong[wrong.length - 8] = (wrong[wrong.length - 8] as number) ^ 1;
    expect(codeOf(() => readTar(wrong))).toBe('OC-ZIP-05');
  });
});

describe('checksums and gzip', () => {
  it('has the check value of CRC-32', () => {
    expect(crc32(encodeUtf8('123456789'))).toBe(0xcbf43926);
  });

  it('reads back gzip and refuses other bytes', () => {
    expect(gunzip(gzipSync(text))).toEqual(text);
    expect(codeOf(() => gunzip(text))).toBe('OC-ZIP-01');
    expect(codeOf(() => gunzip(new Uint8Array(0)))).toBe('OC-ZIP-01');
  });
});
