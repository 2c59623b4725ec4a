/** Draws digits as a person with an unsteady hand might: grey images and their labels. */
import { type Chance, chanceOf } from './random.js';
import { digits, type Point, type Stroke } from './strokes.js';

/** Pixels of a side. */
export const side = 16;
export const pixels = side * side;

export interface Drawings {
  readonly count: number;
  /** [count, side, side], 0 paper to 1 ink, with noise beyond. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** Slant, turn, size and place of one drawing, in pixels. */
function distortion(chance: Chance): (point: Point) => Point {
  const turn = chance.between(-0.22, 0.22);
  const slant = chance.between(-0.3, 0.3);
  const [width, height] = [chance.between(4.6, 6.8), chance.between(5.2, 6.8)];
  const [right, down] = [chance.between(-1.2, 1.2), chance.between(-1, 1)];
  const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
  const middle = (side - 1) / 2;
  return ([x, y]) => {
    const [a, b] = [
      (x - slant * y) * width + chance.normal(0.16),
      y * height + chance.normal(0.16),
    ];
    return [middle + right + cosine * a - sine * b, middle + down + sine * a + cosine * b];
  };
}

/** Distance of a pixel from a line between two points. */
function distance(x: number, y: number, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((x - ax) * dx + (y - ay) * dy) / length;
  const t = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/** Puts ink where a stroke passes; its edge is one pixel soft. */
function ink(into: Float32Array, stroke: Stroke, radius: number, darkness: number): void {
  for (let i = 0; i + 1 < stroke.length; i++) {
    const [a, b] = [stroke[i] as Point, stroke[i + 1] as Point];
    const reach = radius + 1;
    const [left, top] = [Math.min(a[0], b[0]) - reach, Math.min(a[1], b[1]) - reach];
    const [right, bottom] = [Math.max(a[0], b[0]) + reach, Math.max(a[1], b[1]) + reach];
    for (let y = Math.max(0, Math.ceil(top)); y <= Math.min(side - 1, bottom); y++) {
      for (let x = Math.max(0, Math.ceil(left)); x <= Math.min(side - 1, right); x++) {
        const cover = Math.min(Math.max(radius + 0.5 - distance(x, y, a, b), 0), 1) * darkness;
        const at = y * side + x;
        if (cover > (into[at] as number)) into[at] = cover;
      }
    }
  }
}

function drawDigit(digit: number, into: Float32Array, chance: Chance): void {
  const place = distortion(chance);
  const radius = chance.between(0.45, 1.05);
  const darkness = chance.between(0.7, 1);
  for (const stroke of chance.pick(digits[digit] as (typeof digits)[number])) {
    ink(into, stroke.map(place), radius, darkness);
  }
  for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) + chance.normal(0.07);
}

/** `count` drawings; equal seeds draw equally. Digits take turns, so all are equally frequent. */
export function draw(count: number, seed: number): Drawings {
  const chance = chanceOf(seed);
  const images = new Float32Array(count * pixels);
  const labels = new Int32Array(count);
  const order = Array.from({ length: count }, (_, i) => i % 10);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(chance.between(0, i + 1));
    [order[i], order[other]] = [order[other] as number, order[i] as number];
  }
  for (const [i, digit] of order.entries()) {
    labels[i] = digit;
    drawDigit(digit, images.subarray(i * pixels, (i + 1) * pixels), chance);
  }
  return { count, images, labels };
}

const shades = ' .:-=+*#%@';

/** Drawings side by side as text, two characters wide per pixel pair of rows. */
export function textArt({ images }: Drawings, which: readonly number[]): string {
  const lines: string[] = [];
  for (let y = 0; y < side; y += 2) {
    const row = which.map((index) => {
      let text = '';
      for (let x = 0; x < side; x++) {
        const at = index * pixels + y * side + x;
        const grey = ((images[at] as number) + (images[at + side] as number)) / 2;
        const shade = Math.round(
          (Math.min(Math.max(grey - 0.12, 0), 0.75) * (shades.length - 1)) / 0.75,
        );
        text += shades[shade];
      }
      return text;
    });
    lines.push(row.join(' ').trimEnd());
  }
  return lines.join('\n');
}
