/** Faces in a photo: the network's boxes after a threshold and suppression, drawn for people. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeDevices, loadModel } from '@open-claw/openclaw';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { afterAll, describe, expect, it } from 'vitest';
import { bytesOf, missing, pathOf } from './data.js';
import { devices, timeout } from './devices.js';

afterAll(closeDevices);

interface Box {
  readonly score: number;
  /** Left, top, right, bottom, from 0 to 1. */
  readonly sides: readonly [number, number, number, number];
}

/** Where the faces are, by looking at the photo with the boxes drawn. */
const faces: readonly Box['sides'][] = [
  [0.2, 0.05, 0.34, 0.3],
  [0.67, 0.25, 0.8, 0.5],
];

function overlap({ sides: a }: Box, { sides: b }: Box): number {
  const area = ([l, t, r, d]: Box['sides']): number => Math.max(0, r - l) * Math.max(0, d - t);
  const both = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return both / (area(a) + area(b) - both);
}

function boxesOf(scores: Float32Array, boxes: Float32Array): readonly Box[] {
  const found: Box[] = [];
  for (let i = 0; i < scores.length / 2; i++) {
    const score = scores[2 * i + 1] as number;
    if (score < 0.7) continue;
    found.push({ score, sides: [...boxes.subarray(4 * i, 4 * i + 4)] as unknown as Box['sides'] });
  }
  found.sort((a, b) => b.score - a.score);
  const kept: Box[] = [];
  for (const box of found) if (kept.every((other) => overlap(box, other) < 0.3)) kept.push(box);
  return kept;
}

const absent = missing('ultraface-onnx');
describe.skipIf(absent !== undefined)(`ultraface ${absent ?? ''}`, () => {
  const photo = () => jpeg.decode(bytesOf('ultraface-onnx', '13.jpg'), { useTArray: true });

  /** Nearest of the mean of a cell: the photo as [1, 3, 240, 320] from −1 to 1. */
  function inputOf({ width, height, data }: ReturnType<typeof photo>): Float32Array {
    const x = new Float32Array(3 * 240 * 320);
    for (let c = 0; c < 3; c++) {
      for (let row = 0; row < 240; row++) {
        for (let column = 0; column < 320; column++) {
          const [v, u] = [((row + 0.5) * height) / 240 - 0.5, ((column + 0.5) * width) / 320 - 0.5];
          const [top, left] = [Math.max(0, Math.floor(v)), Math.max(0, Math.floor(u))];
          const [dy, dx] = [Math.max(0, v - top), Math.max(0, u - left)];
          const at = (i: number, j: number): number =>
            data[(Math.min(i, height - 1) * width + Math.min(j, width - 1)) * 4 + c] as number;
          const value =
            (at(top, left) * (1 - dx) + at(top, left + 1) * dx) * (1 - dy) +
            (at(top + 1, left) * (1 - dx) + at(top + 1, left + 1) * dx) * dy;
          x[(c * 240 + row) * 320 + column] = (value - 127) / 128;
        }
      }
    }
    return x;
  }

  it.each(devices)('finds the faces on %s', { timeout }, async (device) => {
    const image = photo();
    const model = await loadModel(pathOf('ultraface-onnx', 'version-RFB-320.onnx'), { device });
    const { scores, boxes } = await model.run({ input: inputOf(image) });
    const found = boxesOf(scores!.data as Float32Array, boxes!.data as Float32Array);
    await model.dispose();
    // To look at the boxes, name a folder for the picture.
    const folder = process.env['CLAW_TEST_PICTURES'];
    if (folder !== undefined) draw(image, found, join(folder, `${device.replace(/\W/g, '-')}.png`));
    expect(found).toHaveLength(faces.length);
    for (const face of faces) {
      const best = Math.max(...found.map((box) => overlap(box, { score: 1, sides: face })));
      expect(best).toBeGreaterThan(0.7);
    }
    for (const { score } of found) expect(score).toBeGreaterThan(0.99);
  });
});

/** Writes the photo with the boxes in red. */
function draw(
  { width, height, data }: { width: number; height: number; data: Uint8Array },
  boxes: readonly Box[],
  path: string,
): void {
  const png = new PNG({ width, height });
  png.data = Buffer.from(data);
  for (const { sides } of boxes) {
    const [left, top, right, bottom] = sides.map((side, i) =>
      Math.round(Math.min(Math.max(side, 0), 1) * ((i % 2 === 0 ? width : height) - 1)),
    ) as [number, number, number, number];
    const dot = (x: number, y: number): void =>
      void png.data.set([255, 0, 0, 255], (y * width + x) * 4);
    for (let x = left; x <= right; x++) for (const y of [top, bottom]) dot(x, y);
    for (let y = top; y <= bottom; y++) for (const x of [left, right]) dot(x, y);
  }
  writeFileSync(path, PNG.sync.write(png));
}
