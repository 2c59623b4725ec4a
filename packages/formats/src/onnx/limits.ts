/** Bounds on what a model file may make the reader and the validator do. */
import { defaultWireLimits, type WireLimits } from '../protobuf/reader.js';

export interface ReadLimits extends WireLimits {
  readonly nodes: number;
  /** Tensors of all kinds: initializers, attributes, parts of sparse ones. */
  readonly tensors: number;
  readonly attributes: number;
  /** Graphs within graphs. */
  readonly subgraphDepth: number;
  /** Sizes of one tensor or type. */
  readonly rank: number;
  /** Nodes after every call of a model-local function is written out. */
  readonly expandedNodes: number;
}

export const defaultReadLimits: ReadLimits = {
  ...defaultWireLimits,
  nodes: 250_000,
  tensors: 1_000_000,
  attributes: 4_000_000,
  subgraphDepth: 64,
  rank: 64,
  expandedNodes: 1_000_000,
};

/** The defaults with some values replaced. */
export function readLimits(changes: Partial<ReadLimits> = {}): ReadLimits {
  return { ...defaultReadLimits, ...changes };
}
