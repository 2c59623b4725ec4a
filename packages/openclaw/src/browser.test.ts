/** The browser's door: no interface of Node behind any of its imports, and it runs models. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeModel } from '@open-claw/formats';
import { describe, expect, it } from 'vitest';
import { loadModel } from './browser.js';
import { denseModel } from './testing/models.js';

/** Files that a file reaches through relative imports, itself included. */
function reached(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, path = ''] of text.matchAll(/from '(\.[^']+)\.js'/g)) {
    const next = join(dirname(file), `${path}.ts`);
    if (existsSync(next)) reached(next, seen);
  }
  return seen;
}

describe('the browser entry', () => {
  it('reaches no interface of Node and no device but WebAssembly', () => {
    const files = reached(join(import.meta.dirname, 'browser.ts'));
    expect(files.size).toBeGreaterThan(5);
    for (const file of files) {
      const text = readFileSync(file, 'utf8');
      expect(text, file).not.toMatch(/from 'node:|import\('node:|device-native|formats\/node/);
      expect(text, file).not.toMatch(/\bprocess\.|\bBuffer\b/);
    }
  });

  it('runs a model', async () => {
    const model = await loadModel(writeModel(denseModel()));
    expect(model.backend.device).toBe('wasm');
    const { z } = await model.run({ x: [[1, 2, 3]] });
    expect(z?.data).toEqual(Float32Array.of(22, 0));
    await model.dispose();
  });
});
