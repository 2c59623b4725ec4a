/**
 * One engine with one case, in a process of its own, told by messages when to run: so that engines
 * can take turns without threads of one in the way of another.
 */
import { cases } from './cases.mjs';

/** @typedef {import('./engines/engine.mjs').Setting} Setting */
/** @typedef {import('./engines/engine.mjs').Ready} Ready */

/** @type {Readonly<Record<string, (setting: Setting) => Promise<Ready>>>} */
const engines = {
  openclaw: async (setting) => (await import('./engines/openclaw.mjs')).prepare(setting),
  'onnxruntime-node': async (setting) =>
    (await import('./engines/onnxruntime.mjs')).prepare(setting, 'onnxruntime-node'),
  'onnxruntime-web': async (setting) =>
    (await import('./engines/onnxruntime.mjs')).prepare(setting, 'onnxruntime-web'),
  'jax-js': async (setting) => (await import('./engines/jax.mjs')).prepare(setting),
  javascript: async (setting) => (await import('./engines/javascript.mjs')).prepare(setting),
  'tfjs-wasm': async (setting) => (await import('./engines/tensorflow.mjs')).prepare(setting),
};

/** @type {Ready | undefined} */
let ready;
/** @type {import('./cases.mjs').Case | undefined} */
let item;

/** @type {Readonly<Record<string, (message: any) => Promise<object>>>} */
const actions = {
  async prepare({ engine, name, ...setting }) {
    item = cases.find((each) => each.name === name);
    if (item === undefined) throw new Error(`no case ${name}`);
    const started = performance.now();
    ready = await engines[engine]?.({ ...setting, item });
    const loaded = performance.now();
    await ready?.run();
    const setupMs = loaded - started;
    return { setupMs, firstMs: performance.now() - loaded };
  },

  /** Samples for `ms` milliseconds, at least one; each the time of one call. */
  async round({ ms }) {
    if (ready === undefined) throw new Error('nothing is prepared');
    const { run } = ready;
    const batch = item?.batch ?? 1;
    /** @type {number[]} */
    const times = [];
    const end = performance.now() + ms;
    do {
      const start = performance.now();
      for (let i = 0; i < batch; i++) await run();
      times.push((performance.now() - start) / batch);
    } while (performance.now() < end);
    return { times };
  },

  async limits({ bytes }) {
    return { limits: await ready?.limits?.(bytes) };
  },

  async check({ at, values, tolerance }) {
    const output = await ready?.output();
    let maxError = 0;
    for (const [i, position] of at.entries()) {
      const error = Math.abs(Number(output?.[position]) - values[i]);
      // Comparing this way round lets nothing that is no number pass.
      if (!(error <= maxError)) maxError = error;
    }
    return { maxError, right: maxError <= tolerance };
  },
};

process.on('message', async (/** @type {{ action: string }} */ message) => {
  try {
    const answer = await actions[message.action]?.(message);
    process.send?.({ ...answer, rss: process.memoryUsage().rss });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    process.send?.({ problem: what.split('\n')[0]?.slice(0, 300) });
  }
});
process.on('disconnect', () => process.exit(0));
