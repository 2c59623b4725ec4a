/**
 * An array program without a network: the Mandelbrot set, all points at once, as one compiled
 * program. Run: node examples/array-program.mjs
 */
import { closeDevices, linspace, zeros } from '@open-claw/openclaw';

const [rows, columns, iterations] = [24, 72, 24];
const real = linspace(-2.1, 0.8, columns).expand(rows, columns);
const imaginary = linspace(-1.2, 1.2, rows).unsqueeze(1).expand(rows, columns);

let [x, y, count] = [zeros([rows, columns]), zeros([rows, columns]), zeros([rows, columns])];
for (let i = 0; i < iterations; i++) {
  const [xx, yy] = [x.square(), y.square()];
  // What has left the circle stays outside, so that nothing overflows.
  const inside = xx.add(yy).le(4);
  y = inside.where(x.mul(y).mul(2).add(imaginary), y);
  x = inside.where(xx.sub(yy).add(real), x);
  count = count.add(inside.to('f32'));
}

const shades = ' .,:;+*%#@';
const scaled = count
  .div(iterations)
  .mul(shades.length - 1)
  .round();
const values = /** @type {Float32Array} */ (await scaled.data());
for (let row = 0; row < rows; row++) {
  const line = values.subarray(row * columns, (row + 1) * columns);
  console.log(
    Array.from(line, (value) => shades[value])
      .join('')
      .trimEnd(),
  );
}
await closeDevices();
