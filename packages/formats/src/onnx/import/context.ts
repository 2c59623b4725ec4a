/**
 * What an operator's import sees of its node: inputs, attributes, static knowledge about values,
 * subgraphs, and how to refuse. Implemented in call.ts; families use only this interface.
 *
 * A typical import:
 *
 *     Concat: { versions: [4, 11, 13], import: (call) => {
 *       const inputs = call.tensors();
 *       return build.concat(inputs, call.axis(call.int('axis'), rankOf(inputs[0])));
 *     } }
 *
 * Rules: what cannot be imported is refused (`throw call.refuse(reason)`), never approximated;
 * text from the model goes into reasons only, never into names of nodes or symbols.
 */
import type { AttributeProto, GraphProto, NodeProto } from '../model.js';
import type { DType, HostTensor, Node, Requirement, Size } from './core.js';
import type { Value } from './value.js';

export type Attempt<T> =
  | { readonly done: true; readonly result: T }
  | { readonly done: false; readonly reason: string };

export interface OperatorCall {
  readonly operator: string;
  readonly domain: string;
  /** Since-version of the schema in force, one of the entry's `versions`. */
  readonly version: number;
  /** Opset version that the model (or function) imports for the domain. */
  readonly opset: number;
  readonly node: NodeProto;
  /** A value by its name in the graph around the node; undefined where there is none. */
  named(name: string): Value | undefined;

  // Inputs. `index` counts from 0; an omitted optional input has an empty name or is not there.
  readonly inputCount: number;
  has(index: number): boolean;
  /** Any kind of value; refused when absent. */
  value(index: number): Value;
  /** A tensor on the device; refused when absent or of another kind. */
  tensor(index: number): Node;
  /** The same, undefined when absent. */
  optionalTensor(index: number): Node | undefined;
  /** All inputs from `from` on, each a tensor. */
  tensors(from?: number): readonly Node[];
  /** A tensor of strings, with its elements. */
  strings(index: number): HostTensor;

  // Outputs.
  readonly outputCount: number;
  /** Whether output `index` is named, so that somebody may use it. */
  wants(index: number): boolean;

  // Attributes, with function references resolved. Without a fallback a missing one is refused.
  attribute(name: string): Exclude<AttributeProto, { kind: 'reference' }> | undefined;
  hasAttribute(name: string): boolean;
  /** Integers as numbers; those beyond 2^53 are clamped, which keeps markers such as INT64_MAX. */
  int(name: string, fallback?: number): number;
  float(name: string, fallback?: number): number;
  text(name: string, fallback?: string): string;
  ints(name: string, fallback?: readonly number[]): readonly number[];
  floats(name: string, fallback?: readonly number[]): readonly number[];
  texts(name: string, fallback?: readonly string[]): readonly string[];
  /** A tensor attribute on the host (also of strings). */
  tensorAttribute(name: string): HostTensor | undefined;
  graphAttribute(name: string): GraphProto;
  /** Core's dtype of an attribute that holds an ONNX data type number. */
  dtypeAttribute(name: string, fallback?: DType): DType;

  // What is known about values at import time.
  /** The elements, when the tensor is a constant (strings too). */
  constant(index: number): HostTensor | undefined;
  /** The same; otherwise refused so that the importer may be called again with the value. */
  needConstant(index: number): HostTensor;
  /** Elements of a constant integer (or bool) tensor as numbers, clamped to ±2^53. */
  constantInts(index: number): readonly number[] | undefined;
  needConstantInts(index: number): readonly number[];
  /** Elements of a constant float tensor. */
  constantFloats(index: number): readonly number[] | undefined;
  /**
   * Elements of an integer tensor with few elements as size expressions: exact when known,
   * symbols bound to the elements at run time otherwise. `minimum` is what the elements are known
   * to be at least (default 0); give a negative one where negative values have a meaning.
   * Refused when the number of elements is not known or above 64.
   */
  sizes(index: number, minimum?: number): readonly Size[];
  /** Only exact ones: constants and arithmetic on sizes; undefined otherwise. */
  knownSizes(index: number): readonly Size[] | undefined;
  /** The number behind a size; refused when it is symbolic. */
  staticSize(size: Size, what: string): number;
  /** Normalises a possibly negative axis; refused outside [−rank, rank). */
  axis(axis: number, rank: number): number;
  /** A relation between sizes that the program checks when the numbers are known. */
  require(relation: Requirement['relation'], left: Size, right: Size, what: string): void;

  // Refusals: `throw` what these return.
  refuse(reason: string): Error;
  /** Refused, but importable once values that this one follows from are given to the importer. */
  needValue(of: number | Value, reason: string): Error;
  /** Refused, but importable once the values that the sizes of an input follow from are given. */
  needShape(index: number, reason: string): Error;

  // Subgraphs and functions.
  /** Writes a subgraph's nodes in place; it sees the values around it. */
  inline(graph: GraphProto, inputs: readonly Value[]): readonly Value[];
  /** Device values from around a subgraph that its nodes use, each once. */
  captures(graphs: readonly GraphProto[]): readonly Node[];
  /** Imports a subgraph as a region, where captured values are the region's own inputs. */
  region(
    graph: GraphProto,
    inputs: readonly Value[],
    captured: readonly Node[],
    own: readonly Node[],
  ): readonly Value[];
  /** Runs an import in favour of another way: when it is refused, nothing is recorded. */
  attempt<T>(run: () => T): Attempt<T>;
  /** Runs another operator's import, as if a node stood there; for operators made of others. */
  apply(
    operator: string,
    inputs: readonly (Value | Node | undefined)[],
    attributes?: readonly AttributeProto[],
    outputs?: number,
  ): readonly Value[];
}
