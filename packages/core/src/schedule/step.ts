/** Steps: which nodes become one kernel, in what order; the input of the kernel room. */
import type { Node, NodeOf } from '../graph/node.js';

/**
 * The shape of a kernel's work. map: elementwise and views, no reduction. reduction: reductions of
 * the same axes of one iteration space, with the elementwise work before, between and after.
 * contract, window: operands through affine views, then an elementwise epilogue of the same shape.
 * attention: a composite taken whole; operands through affine views, the result through some.
 * topK: a composite taken whole; its operand is in memory.
 */
export type Pattern =
  | 'map'
  | 'reduction'
  | 'contract'
  | 'window'
  | 'attention'
  | 'scatter'
  | 'cumulate'
  | 'sort'
  | 'topK'
  | 'compact'
  | 'update'
  | 'randomBits';

/**
 * One kernel's work. Everything between `inputs` (in memory) and `outputs` (to be written) is
 * computed inside: walk from the outputs and stop at the inputs. Constants of one element, `iota`
 * and `size` are never inputs. An input that is a reshape or bitcast of another value in memory is
 * the same memory, row-major in its own shape.
 */
export interface KernelStep {
  readonly kind: 'kernel';
  readonly pattern: Pattern;
  /** The node that gives the pattern its name; the (first) output itself for map. */
  readonly anchor: Node;
  readonly inputs: readonly Node[];
  /** Of sort, topK and compact all parts, in order. */
  readonly outputs: readonly Node[];
  /** By output: the input whose memory it is written over, bound once for both. */
  readonly over?: readonly (Node | undefined)[];
}

/** Shape arithmetic and strings, on the host, by the interpreter, in this order. */
export interface HostStep {
  readonly kind: 'host';
  readonly nodes: readonly Node[];
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

export type Region = NodeOf<'if'> | NodeOf<'loop'> | NodeOf<'while'>;

/** if, loop, while: run by the runtime, each body a procedure of its own. */
export interface RegionStep {
  readonly kind: 'region';
  readonly node: Region;
  /** All results of the node, in order, as values in memory. */
  readonly outputs: readonly Node[];
  /** By output: the input whose memory it takes over. */
  readonly over?: readonly (Node | undefined)[];
}

/** A composite that the device computes by an operator of its own. */
export interface OperatorStep {
  readonly kind: 'operator';
  readonly node: NodeOf<'composite'>;
  /** All results of the node, in order. */
  readonly outputs: readonly Node[];
}

export type Step =
  | KernelStep
  | OperatorStep
  | HostStep
  | DownloadStep
  | UploadStep
  | BindStep
  | RegionStep;
