/**
 * Iteration axes: neighbours that every access walks as one are merged, so that the innermost
 * loop is long. A merged axis keeps the inner variable and lets it run over both extents.
 */
import {
  type Expression,
  equal,
  linearIn,
  multiply,
  provablyAtLeast,
  type Size,
  variable,
  variablesOf,
} from '../base/expression.js';

export interface Axis {
  readonly name: string;
  readonly extent: Size;
  readonly reduced: boolean;
}

/** An axis that no reduction runs along. */
export const axis = (name: string, extent: Size): Axis => ({ name, extent, reduced: false });

/** Index variables of an iteration space, one per axis. */
export function axesOf(shape: readonly Size[], reduced: readonly number[] = []): Axis[] {
  return shape.map((extent, axis) => ({
    // A sign that no size symbol has: axis variables are replaced before any code is written.
    name: `$i${axis}`,
    extent,
    reduced: reduced.includes(axis),
  }));
}

export const indexOf = (axis: Axis): Expression =>
  equal(axis.extent, 1) ? 0 : variable(axis.name, axis.extent);

/** How expressions over the original axes read over the merged ones. */
export interface MergedAxes {
  readonly axes: readonly Axis[];
  /** Names that merged into an outer position and count as 0 from now on. */
  readonly dropped: ReadonlySet<string>;
}

function mergeable(outer: Axis, inner: Axis, expressions: readonly Expression[]): boolean {
  if (outer.reduced !== inner.reduced) return false;
  return expressions.every((e) => {
    const names = variablesOf(e);
    if (!names.has(outer.name) && !names.has(inner.name)) return true;
    const outside = linearIn(e, outer.name);
    const inside = linearIn(e, inner.name);
    if (outside === undefined || inside === undefined) return false;
    const mixed = variablesOf(outside.coefficient).has(inner.name);
    return !mixed && equal(outside.coefficient, multiply(inside.coefficient, inner.extent));
  });
}

/**
 * Merges what can be merged. `expressions` are all addresses and conditions of the kernel over the
 * axes' variables. Axes of extent 1 disappear.
 */
export function mergeAxes(axes: readonly Axis[], expressions: readonly Expression[]): MergedAxes {
  const dropped = new Set<string>();
  const merged: Axis[] = [];
  for (const axis of axes) {
    if (equal(axis.extent, 1)) continue;
    const outer = merged.at(-1);
    if (outer !== undefined && mergeable(outer, axis, expressions)) {
      merged.pop();
      dropped.add(outer.name);
      merged.push({ ...axis, extent: multiply(outer.extent, axis.extent) });
    } else merged.push(axis);
  }
  return { axes: merged, dropped };
}

/** The extent as a number where it is one. */
export const staticExtent = (axis: Axis): number | undefined =>
  typeof axis.extent === 'number' ? axis.extent : undefined;

/** Whether the extent is known to be at least `count`. */
export const isAtLeast = (axis: Axis, count: number): boolean =>
  provablyAtLeast(axis.extent, count);
