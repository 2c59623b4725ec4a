import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { buildAll, commonFlags } from './compiler.js';
import { withRuntime } from './testing/runtime.js';

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

it.skipIf(process.platform !== 'linux')('stays below its sleeping threads', (context) =>
  withRuntime(context, (library) => {
    const options = { encoding: 'utf8', cwd: import.meta.dirname } as const;
    expect(execFileSync(process.execPath, ['-e', script, library], options)).toBe('true');
  }),
);

/** One kernel says that it has begun and waits for a word that the other one sets. */
const kernels = `
  void wait(void *const *buffers) {
    volatile int *words = buffers[0];
    words[1] = 1;
    while (words[0] == 0);
  }
  void set(void *const *buffers) { *(volatile int *)buffers[0] = 1; }
`;

const together = `
  const [library, path] = process.argv.slice(1);
  const module = { exports: {} };
  process.dlopen(module, library);
  const runtime = module.exports;
  runtime.threads(2);
  const flags = new Int32Array(new SharedArrayBuffer(64));
  const kernels = runtime.open(path);
  const words = (name) => {
    const [entry, at] = [runtime.symbol(kernels, name), runtime.addressOf(flags)].map(BigInt);
    return BigInt64Array.of(0n, 9n, entry, 2n, 1n, 0n, 1n, 0n, at);
  };
  const [wait, set] = [words('wait'), words('set')];
  const waiting = runtime.runAside(wait, 1, null, 0, 2, null);
  while (Atomics.load(flags, 1) === 0);
  const code = runtime.run(set, 1, null, 0, 2, null);
  waiting.then((other) => process.stdout.write(code + ' ' + other));
`;

it('runs what must not wait while its threads have another launch', (context) =>
  withRuntime(context, async (library, cache, compiler) => {
    const [made] = await buildAll(compiler, [kernels], commonFlags, cache);
    const path = cache.fileOf(made as Uint8Array);
    const options = { encoding: 'utf8', timeout: 20_000 } as const;
    expect(execFileSync(process.execPath, ['-e', together, library, path], options)).toBe('0 0');
  }));
