/** Overrides: operators of a device that replace a composite; without them no answer changes. */
import type { Attributes, Node } from '../graph/node.js';

export type OverrideParameters = Attributes['composite']['parameters'];

type Shapes = readonly (readonly number[])[];

export interface Override {
  /** Name of the composite. */
  readonly composite: string;
  /** Types that all inputs and results must have. */
  readonly dtypes: readonly string[];
  /** Whether these sizes (of all inputs, in order) and parameters are taken. */
  accepts(shapes: Shapes, parameters: OverrideParameters): boolean;
  /** Bytes of memory that it needs beside inputs and results. */
  workspaceBytes(shapes: Shapes, parameters: OverrideParameters): number;
}

/** Sizes of a node's inputs; undefined where they are not known before the run. */
export function inputShapes({ inputs }: Node): Shapes | undefined {
  const isKnown = inputs.every(({ shape }) => shape.every((size) => typeof size === 'number'));
  return isKnown ? inputs.map(({ shape }) => shape as readonly number[]) : undefined;
}

/** The override that takes a composite whole, if any. */
export function overrideOf(node: Node, overrides: readonly Override[]): Override | undefined {
  if (node.op !== 'composite') return undefined;
  const shapes = inputShapes(node);
  if (shapes === undefined) return undefined;
  const { name, parameters } = node.attributes;
  const types = [...node.inputs, ...node.results].map(({ dtype }) => dtype);
  return overrides.find(
    ({ composite, dtypes, accepts }) =>
      composite === name &&
      types.every((dtype) => dtypes.includes(dtype)) &&
      accepts(shapes, parameters),
  );
}
