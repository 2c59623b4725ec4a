/** How accurate f32 contractions must be: the user's policy, per program or per operation. */

/**
 * `highest`: at least as accurate as a plain loop of f32 fused multiply-adds for normal inputs; a
 * matrix unit may do it by splitting each f32 into three bf16 parts. `high`: two parts. `fast`:
 * one product of the unit's own type.
 */
export type Precision = 'highest' | 'high' | 'fast';

export const precisions: readonly Precision[] = ['highest', 'high', 'fast'];

/** bf16 parts that an f32 is split into. */
export const partsOf: Readonly<Record<Precision, 1 | 2 | 3>> = { highest: 3, high: 2, fast: 1 };
