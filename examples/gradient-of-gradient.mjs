/**
 * Derivatives are functions that can be derived again: Newton's method finds the lowest point of
 * a curve by its slope and its curvature. Run: node examples/gradient-of-gradient.mjs
 */
import { closeDevices, grad, tensor } from '@open-claw/openclaw';

/** @typedef {import('@open-claw/openclaw').Tensor} Tensor */

/** x⁴ − 3x³ + 2, lowest at x = 9/4. @param {Tensor} x */
const curve = (x) => x.pow(4).sub(x.pow(3).mul(3)).add(2);
const slope = grad(curve);
const curvature = grad(slope);

let x = tensor(4);
for (let i = 1; i <= 6; i++) {
  x = x.sub(slope(x).div(curvature(x)));
  console.log(`step ${i}: x = ${(await x.item()).toFixed(6)}`);
}
console.log(`third derivative there: ${await grad(curvature)(x).item()}`);
await closeDevices();
