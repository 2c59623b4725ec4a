/** Steps: which nodes become one kernel, in what order; the input of the kernel room. */
import type { Size } from '../base/expression.js';
import type { Graph, Node, NodeOf } from '../graph/node.js';

/**
 * One kernel's work. Everything between `inputs` (in memory) and `outputs` (to be written) is
 * computed inside: walk from the outputs and stop at the inputs.
 */
export interface KernelStep {
  readonly kind: 'kernel';
  readonly pattern:
    /** Elementwise and views, no reduction: every output has the same number of elements. */
    | 'map'
    /** Reductions over the same rows with whatever comes before, between and after. */
    | 'reduction'
    /** `anchor` is a contract; operands with affine views inlined; epilogue elementwise. */
    | 'contract'
    | 'window'
    | 'scatter'
    | 'cumulate'
    | 'sort'
    | 'compact'
    | 'update'
    | 'randomBits';
  /** The node that gives the pattern its name; the (first) output itself for map. */
  readonly anchor: Node;
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
}

/** Shape arithmetic and strings, on the host, by the interpreter. */
export interface HostStep {
  readonly kind: 'host';
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
}

/** Device memory → host, so that host steps and symbols can use it. */
export interface DownloadStep {
  readonly kind: 'download';
  readonly node: Node;
}

/** Host value → device memory. */
export interface UploadStep {
  readonly kind: 'upload';
  readonly node: Node;
}

/** Gives a symbol its number from an element of a host value: a new segment begins. */
export interface BindStep {
  readonly kind: 'bind';
  readonly symbol: string;
  readonly node: Node;
  readonly index: number;
}

/** if, loop, while: run by the runtime, each body a program of its own. */
export interface RegionStep {
  readonly kind: 'region';
  readonly node: NodeOf<'if'> | NodeOf<'loop'> | NodeOf<'while'>;
  readonly bodies: readonly Graph[];
}

export type Step = KernelStep | HostStep | DownloadStep | UploadStep | BindStep | RegionStep;

/** A value in memory while it is needed. */
export interface Buffer {
  readonly id: number;
  readonly node: Node;
  /** Result index of a node with several. */
  readonly part: number;
  readonly place: 'device' | 'host';
  readonly bytes: Size;
  readonly role: 'input' | 'constant' | 'output' | 'temporary';
  /** Indices of the first and last step that touch it. */
  readonly first: number;
  readonly last: number;
  /** Buffer whose memory this one may take over (donated input, in-place update). */
  readonly reuses?: number;
}
