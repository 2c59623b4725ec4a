/**
 * Time to compile graphs of many layers, by phase; growth must be linear.
 * Usage: node bench/compile-layers.mjs [layers…]   (after `npx tsc -b`)
 */
import { compile } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { templateDevice } from '@open-claw/device-template';

const wanted = process.argv.slice(2).map(Number);
const counts = wanted.length > 0 ? wanted : [100, 1000, 10_000];

/**
 * Layers of a matrix product, a bias, a normalization and an activation, with a residual.
 * @param {number} count
 */
function layers(count) {
  const x = core.input('x', { dtype: 'f32', shape: [4, 16] });
  const w = core.input('w', { dtype: 'f32', shape: [16, 16] });
  const bias = core.input('bias', { dtype: 'f32', shape: [16] });
  let y = x;
  for (let i = 0; i < count; i++) {
    const z = core.add(core.matmul(y, w), bias);
    const centred = core.subtract(z, core.mean(z, [-1], { keep: true }));
    y = core.add(core.maximum(centred, 0), y);
  }
  return core.graphOf([x, w, bias], [y]);
}

const plugin = templateDevice();
const [target] = plugin.targets;
if (target === undefined) throw new Error('the pretend chip has no target');
/**
 * @template T
 * @param {() => T} work
 */
const timed = (work) => {
  const start = performance.now();
  const value = work();
  return { value, milliseconds: performance.now() - start };
};

compile(layers(10), target, plugin.language);
console.log('layers      build   simplify   schedule      whole compile   µs per layer');
for (const count of counts) {
  const built = timed(() => layers(count));
  const opened = timed(() => core.primitivesOf(built.value));
  const scheduled = timed(() => core.schedule(opened.value, target));
  // A graph of its own, so that nothing is remembered.
  const whole = timed(() => compile(layers(count), target, plugin.language));
  const columns = [built, opened, scheduled, whole].map(({ milliseconds }) => milliseconds);
  const text = columns.map((value) => `${value.toFixed(0).padStart(7)} ms`).join(' ');
  const perLayer = ((whole.milliseconds * 1000) / count).toFixed(0);
  console.log(`${String(count).padStart(6)} ${text} ${perLayer.padStart(18)}`);
}
