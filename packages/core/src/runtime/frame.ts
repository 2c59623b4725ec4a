/** What a procedure's run is made of: values by place, and the interface of its runner. */
import type { HostTensor } from '../base/host-tensor.js';
import type { Node } from '../graph/node.js';
import type { MemoryArgument } from './contract.js';

/** Values while a procedure runs. */
export interface Frame {
  readonly environment: Map<string, number>;
  readonly places: Map<number, MemoryArgument>;
  readonly host: Map<Node, HostTensor>;
}

/** Where a result lies after a run. */
export type Outcome =
  | { readonly shape: readonly number[]; readonly place: MemoryArgument }
  | { readonly shape: readonly number[]; readonly tensor: HostTensor };

export interface Runner {
  run(
    environment: Map<string, number>,
    host: Map<Node, HostTensor>,
    given?: readonly MemoryArgument[],
  ): Promise<readonly Outcome[]>;
  release(): void;
}
