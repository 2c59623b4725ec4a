/** What a procedure's run is made of: values by place, and the interface of its runner. */
import type { HostTensor } from '../base/host-tensor.js';
import type { Procedure } from '../codegen/program.js';
import type { Node } from '../graph/node.js';
import type { Command, MemoryArgument } from './contract.js';

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

/** Memory that a procedure's run is given. */
export interface Given {
  /** Places of buffers, by id; all others get memory of the runner. */
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** What buffers hold before the first step: copied there. */
  readonly copies?: ReadonlyMap<number, MemoryArgument>;
}

/** A run that is commands and nothing else; right while `isCurrent`. */
export interface LaunchesOnly {
  readonly commands: readonly Command[];
  readonly places: ReadonlyMap<number, MemoryArgument>;
  /** Whether a task may fail: the status word then tells. */
  readonly mayFail: boolean;
  isCurrent(): boolean;
}

export interface Runner {
  readonly procedure: Procedure;
  /** Inputs without a place are in `host` and are written to the device. */
  run(
    environment: Map<string, number>,
    host: Map<Node, HostTensor>,
    given: Given,
  ): Promise<readonly Outcome[]>;
  /** The commands of a run with these places; undefined where it may be more than that. */
  launchesOnly(
    environment: Map<string, number>,
    given?: ReadonlyMap<number, MemoryArgument>,
    mayFail?: boolean,
  ): Promise<LaunchesOnly | undefined>;
  release(): void;
}

/** Whether two places are the same memory. */
export const isSamePlace = (
  a: MemoryArgument | undefined,
  b: MemoryArgument | undefined,
): boolean =>
  a === b || (a?.memory === b?.memory && a?.offset === b?.offset && a?.bytes === b?.bytes);
