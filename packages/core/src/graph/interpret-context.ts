/** What an op of the interpreter sees of the graph around it. */
import type { Size } from '../base/expression.js';
import type { Value } from './interpret-value.js';
import type { Graph } from './node.js';

/** What an op needs besides its inputs. */
export interface Context {
  /** The number that a size stands for here. */
  readonly size: (size: Size) => number;
  /** Runs a body; `symbols` are its own (the iteration), sizes of the outside are seen through. */
  readonly run: (
    body: Graph,
    inputs: readonly Value[],
    symbols?: ReadonlyMap<string, number>,
  ) => readonly Value[];
}
