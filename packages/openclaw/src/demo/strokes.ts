/** How the ten digits are drawn: strokes in a square from −1 to 1, y downwards; in several ways. */

export type Point = readonly [x: number, y: number];
export type Stroke = readonly Point[];

/** Part of an ellipse in degrees, clockwise from the right because y points down. */
function arc([x, y]: Point, [width, height]: Point, from: number, to: number): Stroke {
  const pieces = Math.max(4, Math.ceil(Math.abs(to - from) / 24));
  return Array.from({ length: pieces + 1 }, (_, i): Point => {
    const angle = ((from + ((to - from) * i) / pieces) * Math.PI) / 180;
    return [x + width * Math.cos(angle), y + height * Math.sin(angle)];
  });
}

const ring = (center: Point, radius: Point): Stroke => arc(center, radius, -90, 270);

/** Ways to draw each digit, 0 to 9. */
export const digits: readonly (readonly (readonly Stroke[])[])[] = [
  [[ring([0, 0], [0.6, 0.9])], [ring([0, 0], [0.48, 0.88])]],
  [
    [
      [
        [-0.35, -0.5],
        [0.08, -0.9],
        [0.08, 0.9],
      ],
    ],
    [
      [
        [-0.35, -0.5],
        [0.08, -0.9],
        [0.08, 0.9],
      ],
      [
        [-0.35, 0.9],
        [0.5, 0.9],
      ],
    ],
    [
      [
        [0, -0.9],
        [0, 0.9],
      ],
    ],
  ],
  [
    [[...arc([0, -0.4], [0.55, 0.5], 185, 400), [-0.58, 0.9], [0.6, 0.9]]],
    [[...arc([0, -0.45], [0.5, 0.45], 200, 380), [-0.55, 0.88], [-0.1, 0.75], [0.6, 0.9]]],
  ],
  [
    [arc([0, -0.45], [0.5, 0.45], 205, 450), arc([0, 0.45], [0.58, 0.45], -90, 150)],
    [
      [
        [-0.5, -0.88],
        [0.45, -0.88],
        [-0.05, -0.15],
      ],
      arc([-0.05, 0.38], [0.58, 0.53], -90, 150),
    ],
  ],
  [
    [
      [
        [0.2, -0.9],
        [-0.6, 0.3],
        [0.62, 0.3],
      ],
      [
        [0.25, -0.25],
        [0.25, 0.9],
      ],
    ],
    [
      [
        [-0.42, -0.9],
        [-0.5, 0.12],
        [0.58, 0.12],
      ],
      [
        [0.35, -0.9],
        [0.35, 0.9],
      ],
    ],
  ],
  [
    [
      [
        [0.52, -0.9],
        [-0.4, -0.9],
        [-0.46, -0.1],
      ],
      arc([-0.02, 0.33], [0.56, 0.56], -140, 140),
    ],
    [[[0.45, -0.88], [-0.3, -0.88], [-0.42, -0.15], ...arc([-0.05, 0.36], [0.5, 0.52], -120, 130)]],
  ],
  [
    [arc([0.3, 0.2], [0.85, 1.1], 265, 180), ring([0, 0.4], [0.55, 0.5])],
    [
      [
        [0.25, -0.9],
        [-0.35, 0],
      ],
      ring([0, 0.4], [0.5, 0.5]),
    ],
  ],
  [
    [
      [
        [-0.55, -0.85],
        [0.55, -0.85],
        [-0.1, 0.9],
      ],
    ],
    [
      [
        [-0.55, -0.85],
        [0.55, -0.85],
        [-0.1, 0.9],
      ],
      [
        [-0.25, 0.05],
        [0.4, 0.05],
      ],
    ],
  ],
  [[ring([0, -0.45], [0.42, 0.43]), ring([0, 0.43], [0.55, 0.47])]],
  [
    [ring([0, -0.4], [0.53, 0.48]), arc([-0.3, -0.2], [0.83, 1.1], 0, 80)],
    [
      ring([0, -0.42], [0.5, 0.46]),
      [
        [0.5, -0.42],
        [0.35, 0.9],
      ],
    ],
  ],
];
