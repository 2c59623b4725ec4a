/** Ranges of a memory that hold no valid data, each with the error that made it so. */
export interface Poisoned {
  readonly start: number;
  readonly end: number;
  readonly error: Error;
}

export type Poison = readonly Poisoned[];

/** The error of the first invalid byte in [start, end). */
export const poisonIn = (poison: Poison, start: number, end: number): Error | undefined =>
  poison.find((range) => range.start < end && start < range.end)?.error;

/** [start, end) was written: it is valid again. */
export function healed(poison: Poison, start: number, end: number): Poison {
  if (poison.length === 0) return poison;
  return poison.flatMap((range) => [
    ...(range.start < start ? [{ ...range, end: Math.min(range.end, start) }] : []),
    ...(range.end > end ? [{ ...range, start: Math.max(range.start, end) }] : []),
  ]);
}

export const poisoned = (poison: Poison, start: number, end: number, error: Error): Poison => [
  ...healed(poison, start, end),
  { start, end, error },
];
