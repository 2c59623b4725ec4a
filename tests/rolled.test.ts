/** The files that packages are rolled into: what Node loads when it imports one by name. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'claw-rolled-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const built = (path: string): string => new URL(`../packages/${path}`, import.meta.url).href;
const door = built('openclaw/rolled/index.js');

/** What a program of its own prints; it is the file `user.mjs`. */
function printed(script: string, env: Readonly<Record<string, string>> = {}): string {
  const path = join(folder, 'user.mjs');
  writeFileSync(path, script);
  const { stdout, stderr } = spawnSync(process.execPath, [path], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', CLAW_CACHE: join(folder, 'cache'), ...env },
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  });
  expect(stderr).toBe('');
  return stdout;
}

it('has the names of its door and no others, though its parts share a file', () => {
  const script = `
    for (const address of ${JSON.stringify([door, built('core/dist/face.js')])}) {
      console.log(Object.keys(await import(address)).sort().join(' '));
    }`;
  const [rolled = '', core = ''] = printed(script).split('\n');
  const own = [
    'factsOf',
    'loadModel',
    'openBackend',
    'readNpy',
    'readNpz',
    'usePlugins',
    'writeNpy',
  ];
  expect(rolled.split(' ')).toEqual([...core.split(' '), ...own].sort());
});

it('names the line of the user where a tensor cannot be made', () => {
  const script = `const { tensor } = await import(${JSON.stringify(door)});
    try { tensor([1, 2, 3]).matmul(tensor([1, 2])); } catch (error) { console.log(error.where); }`;
  expect(printed(script).trim()).toMatch(/user\.mjs:2:\d+$/);
});

it.each(['template', 'wasm'])('opens a device that is no default, or is: %s', (device) => {
  const script = `const { tensor } = await import(${JSON.stringify(door)});
    console.log(await tensor([1, 2, 3]).add(tensor([3, 2, 1])).data());`;
  const env = { CLAW_DEVICE: device };
  expect(printed(script, env).trim()).toBe('Float32Array(3) [ 4, 4, 4 ]');
});

it('says errors in the language of the environment', () => {
  const script = `const { tensor } = await import(${JSON.stringify(door)});
    try { tensor([1, 2, 3]).matmul(tensor([1, 2])); } catch (error) { console.log(error.what); }`;
  expect(printed(script, { LANG: 'zh_CN.UTF-8' })).toContain('内侧维大小不同');
});
