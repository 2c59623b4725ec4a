/** Many runs, many loads, many at once, and timers beside long programs. */
import { openDevice } from '@open-claw/core';
import { buildNode, buildValue, tensorProto } from '@open-claw/formats';
import { closeDevices, loadModel } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { modelOf } from './bad-models.js';

afterAll(closeDevices);

const weights = Float32Array.from({ length: 64 * 64 }, (_, i) => ((i * 7) % 13) / 100 - 0.06);
const w = tensorProto('w', { dtype: 'f32', shape: [64, 64], data: weights });
const nodes = [
  buildNode('MatMul', ['x', 'w'], ['a']),
  buildNode('Softmax', ['a'], ['b']),
  buildNode('ReduceSum', ['b'], ['y']),
];
const bytes = modelOf(nodes, ['n', 64], { initializers: [w] });
const batch = (n: number, value = 1): Float32Array => new Float32Array(64 * n).fill(value);

/** Resident bytes after a collection, where the process lets one ask for it. */
function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

describe.each(['native', 'wasm'])('on %s', (device) => {
  it('runs 1,000 times in flat memory', async () => {
    const model = await loadModel(bytes, { device });
    const once = async (i: number): Promise<void> => {
      const n = 1 + (i % 5);
      const { y } = await model.run({ x: batch(n) });
      // Softmax sums to one per row; the sum over all axes is the number of rows.
      expect(Number(y?.data[0])).toBeCloseTo(n, 4);
    };
    for (let i = 0; i < 200; i++) await once(i);
    const [before, peak] = [resident(), model.peakBytes];
    for (let i = 0; i < 1000; i++) await once(i);
    const growth = resident() - before;
    expect(model.peakBytes).toBe(peak);
    // A leak of one input per run would be 20 times this.
    expect(growth).toBeLessThan(60e6);
    await model.dispose();
    await expect(model.run({ x: batch(1) })).rejects.toThrow('OC-RUN-08');
  });

  it('loads and releases 100 times', async () => {
    const { device: opened } = await openDevice(device);
    const free: number[] = [];
    let before = 0;
    for (let i = 0; i < 100; i++) {
      const model = await loadModel(bytes, { device });
      const { y } = await model.run({ x: batch(2) });
      expect(Number(y?.data[0])).toBeCloseTo(2, 4);
      await model.dispose();
      free.push((await opened.status?.())?.freeBytes ?? 0);
      if (i === 20) before = resident();
    }
    expect(resident() - before).toBeLessThan(60e6);
    // Other processes use memory too, so only wasm's own count can be compared exactly.
    if (device === 'wasm') expect(free[99]).toBe(free[20]);
  });

  it('keeps runs at the same time apart', async () => {
    const models = await Promise.all([1, 2].map(() => loadModel(bytes, { device })));
    const runs = Array.from({ length: 60 }, async (_, i) => {
      const n = 1 + (i % 7);
      const stopped = i % 10 === 9;
      const signal = stopped ? AbortSignal.abort() : new AbortController().signal;
      const run = models[i % 2]?.run({ x: batch(n, i) }, { signal });
      if (stopped) return expect(run).rejects.toThrow('OC-DEVICE-05');
      return expect(Number((await run)?.['y']?.data[0])).toBeCloseTo(n, 3);
    });
    await Promise.all(runs);
    for (const model of models) await model.dispose();
  });
});

it('lets timers fire beside a long program on native', async () => {
  const size = 1024;
  const chain = Array.from({ length: 40 }, (_, i) =>
    buildNode('MatMul', [i === 0 ? 'x' : `m${i}`, 'x'], [i === 39 ? 'y' : `m${i + 1}`]),
  );
  const long = modelOf(chain, [size, size], { outputs: [buildValue('y', [size, size])] });
  const model = await loadModel(long, { device: 'native' });
  const x = new Float32Array(size * size).fill(1 / size);
  await model.run({ x });
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    gaps.push(performance.now() - last);
    last = performance.now();
  }, 2);
  const start = performance.now();
  let runs = 0;
  // Programs of some 100 ms, one after the other, for at least a second.
  for (; performance.now() - start < 1000; runs++) await model.run({ x });
  const total = performance.now() - start;
  clearInterval(timer);
  const worst = Math.max(...gaps);
  const each = total / runs;
  console.info(
    `${gaps.length} ticks in ${total | 0} ms, ${each | 0} ms a run, worst ${worst | 0} ms`,
  );
  // Without a thread of its own there would be one tick per run at most.
  expect(gaps.length).toBeGreaterThan(3 * runs);
  expect(gaps.length).toBeGreaterThan(total / 100);
  await model.dispose();
});
