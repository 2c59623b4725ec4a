/** Where the runtime's threads run: a worker leaves the core of the thread that wakes it. */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { withRuntime } from './testing/runtime.js';

/**
 * Lets the one worker fall asleep on this thread's only core, wakes it by a launch, and prints both
 * cores and the list of those that the worker may use, before and after.
 */
const script = `
  const [path] = process.argv.slice(1);
  const koffi = require('koffi');
  const { readFileSync, readdirSync } = require('node:fs');
  const threads = () => readdirSync('/proc/self/task').map(Number);
  const module = { exports: {} };
  process.dlopen(module, path);
  const runtime = module.exports;
  const before = new Set(threads());
  runtime.threads(2);
  const [worker] = threads().filter((thread) => !before.has(thread));
  const bind = koffi.load(null).func('int sched_setaffinity(int thread, size_t bytes, void *mask)');
  const use = (thread, cores) => {
    const mask = new Uint8Array(128);
    for (const core of cores) mask[core >> 3] |= 1 << (core & 7);
    if (bind(thread, mask.length, mask) !== 0) throw new Error('no affinity');
  };
  const of = (thread, file) => readFileSync('/proc/self/task/' + thread + '/' + file, 'utf8');
  const list = () => /Cpus_allowed_list:\\s*(\\S+)/.exec(of(worker, 'status'))[1];
  const own = list();
  const cores = own.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  const [core] = cores;
  const rest = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
  // A task that does nothing; its arguments do not matter.
  const task = 'node_api_module_get_api_version_v1';
  const entry = BigInt(runtime.symbol(runtime.open(path), task));
  const words = BigInt64Array.of(0n, 8n, entry, 100000n, 1n, 0n, 0n, 0n);
  const launch = () => {
    if (runtime.run(words, 1, null, 0, 2, null) !== 0) throw new Error('it did not run');
    rest();
  };
  use(worker, [core]);
  launch();
  use(worker, cores);
  use(process.pid, [core]);
  launch();
  const ran = Number(of(worker, 'stat').split(') ')[1].split(' ')[36]);
  process.stdout.write(JSON.stringify({ core, ran, own, after: list() }));
`;

const runs = process.platform === 'linux' && availableParallelism() > 1;
it.runIf(runs)('a worker that sleeps on the core of its waker runs on another', async (context) => {
  await withRuntime(context, (library) => {
    const options = { encoding: 'utf8', cwd: import.meta.dirname } as const;
    const text = execFileSync(process.execPath, ['-e', script, library], options);
    const { core, ran, own, after } = JSON.parse(text);
    expect(ran).not.toBe(core);
    expect(after).toBe(own);
  });
});
