/**
 * Longest time that a timer of 1 ms waits while programs run: one long program, and a loop whose
 * iterations are short. Usage: node bench/event-loop.mjs [device…]   (after `npx tsc -b`)
 */
import { compile, load, openDevice, use } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { plugin as native } from '@open-claw/device-native';
import { plugin as template } from '@open-claw/device-template';
import { plugin as wasm } from '@open-claw/device-wasm';

for (const plugin of [template, wasm, native]) use(plugin);
const wanted = process.argv.slice(2);
const devices = wanted.length > 0 ? wanted : ['native', 'wasm', 'template'];

/** @param {number} layers */
function long(layers) {
  const x = core.input('x', { dtype: 'f32', shape: [512, 512] });
  let y = x;
  for (let i = 0; i < layers; i++) y = core.tanh(core.matmul(y, x));
  return { graph: core.graphOf([x], [y]), shape: [512, 512] };
}

/** @param {number} trip */
function loop(trip) {
  const x = core.input('x', { dtype: 'f32', shape: [4] });
  /** @param {readonly core.Node[]} values */
  const body = ([value = x]) => ({ carried: [core.multiply(core.add(value, 1), 0.5)] });
  return { graph: core.graphOf([x], core.loop({ trip, carried: [x], body })), shape: [4] };
}

/**
 * @param {import('@open-claw/core').Executable} executable
 * @param {import('@open-claw/core').HostTensor} input
 */
async function measure(executable, input) {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  const start = performance.now();
  await executable.run([input]);
  const milliseconds = performance.now() - start;
  longest = Math.max(longest, performance.now() - last);
  clearInterval(timer);
  return { milliseconds, longest };
}

/** @type {Readonly<Record<string, Readonly<Record<string, ReturnType<typeof long>>>>>} */
const cases = {
  native: { long: long(900), loop: loop(200_000) },
  wasm: { long: long(120), loop: loop(100_000) },
  template: { long: long(1), loop: loop(100_000) },
};
console.log('device     program      ms   longest wait of a timer, ms');
for (const name of devices) {
  for (const [what, { graph, shape }] of Object.entries(cases[name] ?? {})) {
    const opened = await openDevice(name);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const count = shape.reduce((product, size) => product * size, 1);
    // Values that settle near one: denormal numbers would slow down the whole chain.
    /** @type {import('@open-claw/core').HostTensor} */
    const input = { dtype: 'f32', shape, data: new Float32Array(count).fill(1.2 / 512) };
    await measure(executable, input);
    const { milliseconds, longest } = await measure(executable, input);
    const row = [name.padEnd(10), what.padEnd(6), milliseconds.toFixed(0).padStart(8)];
    console.log(`${row.join(' ')} ${longest.toFixed(1).padStart(10)}`);
    await executable.dispose();
  }
}
