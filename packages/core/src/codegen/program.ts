/**
 * Programs: what the compiler hands to the runtime. Plain data: sizes are expressions over
 * symbols, memory is named by buffer ids, kernels by their entry in one source.
 */
import type { DType } from '../base/dtype.js';
import type { Expression, Size } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Node, Requirement, SymbolSource } from '../graph/node.js';
import type { Source } from './language.js';
import type { OverrideParameters } from './override.js';

/** A stretch of device memory while it is needed. */
export interface Buffer {
  readonly id: number;
  readonly dtype: DType;
  readonly shape: readonly Size[];
  readonly bytes: Size;
  /** `once`: made from constants after loading and kept. */
  readonly role: 'input' | 'constant' | 'once' | 'temporary';
  /** Content of a constant. */
  readonly tensor?: HostTensor;
  /** Indices of the first and last step that touch it. */
  readonly first: number;
  readonly last: number;
}

export interface LaunchStep {
  readonly kind: 'launch';
  readonly entry: string;
  /** Buffer ids in binding order, without the status word. */
  readonly buffers: readonly number[];
  /** Of each buffer: what a kernel only writes may hold anything before. */
  readonly access: readonly ('read' | 'write' | 'readWrite')[];
  /** Bytes of each buffer that a task has to itself (see kernel/windows.ts); 0 where it shares. */
  readonly windows: readonly Size[];
  readonly mayFail: boolean;
  readonly grid: readonly Expression[];
  /** Symbols whose numbers are the entry's sizes. */
  readonly sizes: readonly string[];
  readonly flops: Size;
  readonly bytes: Size;
  /** Index into Program.operators. */
  readonly operator: number;
  /** Of the step, for measured choices (see kernel/candidates.ts). */
  readonly key?: string;
  /** Of a launch that runs once: text that is equal for kernels that do the same. */
  readonly layout?: string;
}

/** A composite by an operator of the device; buffers are inputs, outputs, then workspace. */
export interface OperatorStep {
  readonly kind: 'operator';
  readonly name: string;
  readonly buffers: readonly number[];
  readonly access: readonly ('read' | 'write' | 'readWrite')[];
  readonly sizes: readonly number[];
  readonly parameters: OverrideParameters;
}

/** Nodes that the interpreter computes on the host, in order. */
export interface HostStep {
  readonly kind: 'host';
  readonly nodes: readonly Node[];
}

export interface DownloadStep {
  readonly kind: 'download';
  readonly buffer: number;
  readonly node: Node;
}

export interface UploadStep {
  readonly kind: 'upload';
  readonly buffer: number;
  readonly node: Node;
}

export interface BindStep {
  readonly kind: 'bind';
  readonly symbol: string;
  readonly node: Node;
  readonly index: number;
}

/** Buffers of a region: results, and a second set so that carried values may change places. */
interface RegionBuffers {
  readonly kind: 'region';
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly operator: number;
}

export interface IfStep extends RegionBuffers {
  readonly op: 'if';
  readonly then: Procedure;
  readonly else: Procedure;
}

export interface LoopStep extends RegionBuffers {
  readonly op: 'loop' | 'while';
  /** Exact for loop, a limit for while. */
  readonly trip: Size;
  readonly carried: number;
  readonly iteration: string;
  readonly body: Procedure;
  /** Absent for a carried value that the body changes in place. */
  readonly spare: readonly (number | undefined)[];
}

export type ProgramStep =
  | LaunchStep
  | OperatorStep
  | HostStep
  | DownloadStep
  | UploadStep
  | BindStep
  | IfStep
  | LoopStep;

/** Where a result is found: device memory, or a node that the host computed. */
export interface Result {
  readonly dtype: DType;
  readonly shape: readonly Size[];
  readonly buffer?: number;
  readonly host?: Node;
}

export interface Parameter {
  readonly name: string;
  readonly node: Node;
  readonly dtype: DType;
  readonly shape: readonly Size[];
  /** Absent where no step needs it in device memory. */
  readonly buffer?: number;
  /** Steps write over its memory: what the caller keeps must be copied first. */
  readonly overwritten?: true;
}

/** A graph as steps over buffers: a program's main part, or the body of a region. */
export interface Procedure {
  readonly parameters: readonly Parameter[];
  readonly results: readonly Result[];
  readonly symbols: ReadonlyMap<string, SymbolSource>;
  readonly requirements: readonly Requirement[];
  readonly buffers: readonly Buffer[];
  readonly steps: readonly ProgramStep[];
  /** Launches that run once after loading: their inputs are constants. */
  readonly once: readonly LaunchStep[];
}

/** Something that runs elsewhere than the user expects, and what that costs. */
export interface Fallback {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

export interface Program {
  readonly target: string;
  /** All kernels, of the bodies too; absent where there is none. */
  readonly source?: Source;
  readonly main: Procedure;
  /** Names of the operators of each kernel step; the status word's code is index · 8 + reason. */
  readonly operators: readonly string[];
  readonly fallbacks: readonly Fallback[];
}
