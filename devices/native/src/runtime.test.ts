import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFailure } from '@open-claw/core';
import { expect, it } from 'vitest';
import { openCache } from './cache.js';
import { buildRuntime } from './runtime.js';

/**
 * Starts threads of the runtime's library in a worker, whose end unloads it, and says whether it is
 * still mapped.
 */
const script = `
  const [library] = process.argv.slice(1);
  const { readFileSync } = require('node:fs');
  const { Worker } = require('node:worker_threads');
  const text = 'const module = { exports: {} };' +
    'process.dlopen(module, ' + JSON.stringify(library) + ');' +
    'module.exports.threads(2);';
  new Worker(text, { eval: true }).on('exit', () => setTimeout(() => {
    process.stdout.write(String(readFileSync('/proc/self/maps', 'utf8').includes(library)));
  }, 50));
`;

it.skipIf(process.platform !== 'linux')('stays below its sleeping threads', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'claw-test-'));
  try {
    const cache = openCache(folder);
    const built = await buildRuntime(cache).catch((error: unknown) => {
      if (isFailure(error) && error.code === 'OC-NATIVE-03') return undefined;
      throw error;
    });
    if (built === undefined) return context.skip('a C compiler (cc, gcc or clang) is needed');
    const library = cache.fileOf(built.made);
    const options = { encoding: 'utf8', cwd: import.meta.dirname } as const;
    expect(execFileSync(process.execPath, ['-e', script, library], options)).toBe('true');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
