/** The folder of compiled kernels is private, its files are checked; compilers that fail say so. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '@open-claw/core/device/contract';
import { openCache as openFamily } from '@open-claw/kernel-cache';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf, openCache } from './cache.js';
import { compilersOnPath } from './compiler.js';
import { nativeDevice } from './index.js';
import { programOf } from './testing/program.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claw-cache-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('cache folder', () => {
  it('is made for its user alone', () => {
    const base = join(folder, 'new');
    const cache = openCache(base);
    expect(statSync(base).mode & 0o777).toBe(0o700);
    expect(statSync(cache.folder).mode & 0o777).toBe(0o700);
    expect(statSync(cache.fileOf(bytes('x'))).mode & 0o777).toBe(0o600);
  });

  it('forgets the oldest entries where it may keep only so many', () => {
    const cache = openFamily({ family: 'few', suffix: 'txt', folder, most: 8 });
    const keys = Array.from({ length: 40 }, (_, i) => hashOf(String(i)));
    for (const [i, key] of keys.entries()) cache.keep(key, [bytes(`entry ${i}`)]);
    const kept = keys.filter((key) => cache.find(key) !== undefined);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThanOrEqual(8);
    expect(kept).toContain(keys.at(-1));
    expect(readdirSync(cache.folder).length).toBeLessThanOrEqual(18);
  });

  it('is refused where others may use it', () => {
    chmodSync(folder, 0o770);
    expect(() => openCache(folder)).toThrow(/OC-NATIVE-01.*mode 770/);
    chmodSync(folder, 0o702);
    expect(() => openCache(folder)).toThrow(/OC-NATIVE-01/);
  });

  it('is refused where it is a link or somebody else’s', () => {
    mkdirSync(join(folder, 'real'), { mode: 0o700 });
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    expect(() => openCache(join(folder, 'link'))).toThrow(/OC-NATIVE-01/);
    if (process.getuid?.() !== 0) return;
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign, { mode: 0o700 });
    chownSync(foreign, 12345, 12345);
    expect(() => openCache(foreign)).toThrow(/OC-NATIVE-01.*another user/);
  });

  it('follows CLAW_CACHE, and gives a temporary folder where none can be made', async () => {
    vi.stubEnv('CLAW_CACHE', join(folder, 'named'));
    expect(openCache().folder).toBe(join(folder, 'named', 'native'));
    writeFileSync(join(folder, 'file'), '');
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const cache = openCache(join(folder, 'file', 'below'));
    expect(cache.folder.startsWith(folder)).toBe(false);
    expect(statSync(cache.folder).mode & 0o777).toBe(0o700);
    expect((await warned).message).toContain('for this run only');
    rmSync(cache.folder, { recursive: true });
  });

  it('finds what it kept, and nothing that was changed', () => {
    const cache = openCache(folder);
    cache.keep('ab', [bytes('one'), bytes('two')]);
    expect(cache.find('ab')?.map((p) => new TextDecoder().decode(p))).toEqual(['one', 'two']);
    const path = join(cache.folder, `${hashOf(bytes('two'))}.so`);
    writeFileSync(path, 'evil');
    expect(cache.find('ab')).toBeUndefined();
    expect(readdirSync(cache.folder)).not.toContain(`${hashOf(bytes('two'))}.so`);
    expect(readFileSync(cache.fileOf(bytes('two')), 'utf8')).toBe('two');
    expect(cache.find('ab')).toHaveLength(2);
    writeFileSync(join(cache.folder, 'ab.index'), '../../etc/passwd');
    expect(cache.find('ab')).toBeUndefined();
  });

  it('says so where it cannot be written', () => {
    const cache = openCache(folder);
    rmSync(cache.folder, { recursive: true });
    expect(() => cache.keep('ab', [bytes('one')])).toThrow(/OC-NATIVE-02/);
  });
});

describe('compiler', () => {
  it('missing: probe says why and what to install', async () => {
    vi.stubEnv('PATH', folder);
    const plugin = nativeDevice({ cache: folder });
    const [found] = await plugin.probe();
    expect(found).toMatchObject({ id: 'native', reason: expect.stringContaining('not on PATH') });
    expect(found).toMatchObject({ fix: expect.stringContaining('build-essential') });
    await expect(plugin.open('native')).rejects.toMatchObject({ code: 'OC-NATIVE-03' });
  });

  it('failing: its own words are in the reason', async () => {
    const script = join(folder, 'cc');
    const text =
      '#!/bin/sh\n[ "$1" = --version ] && echo pretend 1 && exit 0\necho no luck; exit 1\n';
    writeFileSync(script, text, { mode: 0o755 });
    vi.stubEnv('PATH', folder);
    const [found] = await nativeDevice({ cache: join(folder, 'c') }).probe();
    expect(found).toMatchObject({ reason: expect.stringContaining('no luck') });
  });

  it.skipIf(compilersOnPath().length === 0)('a changed file is built again', async () => {
    const plugin = nativeDevice({ cache: folder, row: 'generic' });
    const target = plugin.targets.find(({ id }) => id === 'native/generic') as Target;
    const write = (): void => {};
    const program = programOf(target.id, { lanes: 1, buffers: {}, write });
    await plugin.language.ready?.();
    const source = plugin.language.emit([program], target);
    const first = await plugin.compile(source, target);
    const files = readdirSync(join(folder, 'native')).filter((name) => name.endsWith('.so'));
    for (const name of files) writeFileSync(join(folder, 'native', name), 'evil');
    const second = await plugin.compile(source, target);
    expect(Buffer.from(second.bytes).includes('evil')).toBe(false);
    expect(second.bytes.length).toBeGreaterThan(1000);
    expect(first.entries).toEqual(second.entries);
    const broken = { ...source, text: `${source.text}\n}` };
    await expect(plugin.compile(broken, target)).rejects.toMatchObject({ code: 'OC-DEVICE-07' });
  });
});
