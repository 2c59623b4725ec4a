/** The CPU's runtime, built for a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFailure } from '@open-claw/core/device';
import { type Cache, openCache } from '../cache.js';
import type { Compiler } from '../compiler.js';
import { buildRuntime } from '../runtime.js';

/** A runtime in a folder of its own, for as long as `work` takes; skips where none can be built. */
export async function withRuntime(
  context: { skip(reason: string): unknown },
  work: (library: string, cache: Cache, compiler: Compiler) => Promise<void> | void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'claw-test-'));
  try {
    const cache = openCache(folder);
    const built = await buildRuntime(cache).catch((error: unknown) => {
      if (isFailure(error) && error.code === 'OC-NATIVE-03') return undefined;
      throw error;
    });
    if (built === undefined) {
      context.skip('a C compiler (cc, gcc or clang) is needed');
      return;
    }
    await work(cache.fileOf(built.made), cache, built.compiler);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
