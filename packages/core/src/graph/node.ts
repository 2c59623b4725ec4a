/**
 * Graph nodes: frozen, interned, plain data. Equal operations on equal inputs are one object, and
 * an input's id is always smaller than its user's, so ascending ids are a topological order.
 */
import type { DType } from '../base/dtype.js';
import { internal } from '../base/errors.js';
import type { Size, Sum } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Precision } from '../base/precision.js';

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Size[];
}

export type UnaryName =
  | 'negate'
  | 'absolute'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'truncate'
  | 'squareRoot'
  | 'exp'
  | 'log'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'erf'
  | 'not'
  | 'isNaN';

export type BinaryName =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'remainder'
  | 'power'
  | 'minimum'
  | 'maximum'
  | 'and'
  | 'or'
  | 'xor'
  | 'shiftLeft'
  | 'shiftRight'
  | 'equal'
  | 'less'
  | 'lessEqual';

export type ReductionKind = 'sum' | 'product' | 'minimum' | 'maximum';
export type ScatterKind = 'replace' | ReductionKind;
export type WindowKind = 'convolve' | ReductionKind;
/** Sum order: `tree` may be any order within the bound; `defined` is the exact level's tree. */
export type ReductionOrder = 'tree' | 'defined';

type None = Readonly<Record<never, never>>;

/** Attributes of every primitive. Sizes may be symbolic; everything else is plain data. */
export type Attributes = Readonly<Record<UnaryName | BinaryName, None>> & {
  /** A value given from outside; never interned. */
  readonly input: { readonly name: string; readonly type: TensorType };
  readonly constant: { readonly tensor: HostTensor };
  /** The index along `axis` (0, 1, 2 …) at every element. */
  readonly iota: { readonly axis: number; readonly type: TensorType };
  /** A size as a scalar of type i64. */
  readonly size: { readonly value: Size };
  /** Philox4x32-10 counter-based bits (u32) from a key tensor u32[2]: Salmon et al., SC 2011. */
  readonly randomBits: { readonly shape: readonly Size[] };
  readonly reshape: { readonly shape: readonly Size[] };
  /** Output axis i is input axis axes[i]. */
  readonly permute: { readonly axes: readonly number[] };
  /** Same rank; every size is kept or was 1. */
  readonly expand: { readonly shape: readonly Size[] };
  /** Element i of an axis is input element start + i·step, step ≥ 1 (flip reverses). */
  readonly slice: {
    readonly starts: readonly Size[];
    readonly sizes: readonly Size[];
    readonly steps: readonly number[];
  };
  /** Non-negative amounts; the fill is a number of the dtype (bool 0 or 1). */
  readonly pad: {
    readonly before: readonly Size[];
    readonly after: readonly Size[];
    readonly value: number | bigint;
  };
  readonly flip: { readonly axes: readonly number[] };
  readonly concat: { readonly axis: number };
  readonly select: None;
  /** Float → integer truncates; out of range wraps, or clamps when `saturate`; NaN → 0. */
  readonly cast: { readonly dtype: DType; readonly saturate: boolean };
  /** Same bits, same element width. */
  readonly bitcast: { readonly dtype: DType };
  /** u8[…, n] → dtype[…, n·8/bits]: low bits first. */
  readonly unpack: { readonly dtype: DType };
  /** Reduced axes disappear. */
  readonly reduce: {
    readonly kind: ReductionKind;
    readonly axes: readonly number[];
    readonly accumulate: DType;
    readonly order: ReductionOrder;
  };
  /** General dot product: output axes are batch, free axes of the left, free axes of the right. */
  readonly contract: {
    readonly batch: readonly (readonly [number, number])[];
    readonly contracted: readonly (readonly [number, number])[];
    readonly accumulate: DType;
    readonly dtype: DType;
    /** Accuracy of f32 products; the program's where absent. */
    readonly precision?: Precision;
  };
  /**
   * x[N, C, …space] with w[O, C/groups, …kernel] for `convolve`; x alone for pooling, where
   * `kernel` gives the window. Padding may be negative (cropping). Padded elements are the
   * identity of the reduction. Output N, O (or C), …floor((extent − kernelExtent) / stride) + 1.
   */
  readonly window: {
    readonly kind: WindowKind;
    readonly kernel: readonly Size[];
    readonly strides: readonly number[];
    readonly padding: readonly (readonly [Size, Size])[];
    readonly kernelDilation: readonly number[];
    readonly inputDilation: readonly number[];
    readonly groups: number;
    readonly accumulate: DType;
    /** Accuracy of f32 products; the program's where absent. */
    readonly precision?: Precision;
  };
  /** data, indices → data[:axis] + indices.shape + data[axis+1:]; indices in [0, size). */
  readonly gather: { readonly axis: number };
  /** data[n, …rest], indices[m], updates[m, …rest]: along axis 0, in index order. */
  readonly scatter: { readonly kind: ScatterKind };
  readonly cumulate: {
    readonly kind: ReductionKind;
    readonly axis: number;
    readonly exclusive: boolean;
    readonly reverse: boolean;
  };
  /** keys, …payloads → sorted keys and payloads in the same order; stable; NaN last. */
  readonly sort: { readonly axis: number; readonly descending: boolean };
  /** mask bool[n], values[n, …] → values with the chosen first (rest zero), count i64[]. */
  readonly compact: None;
  /** data, piece, offsets i64[rank]: data with the piece written at the offsets (kept inside). */
  readonly update: None;
  /** Picks result `index` of a node with several. */
  readonly part: { readonly index: number };
  /** Inputs: condition bool[], then captures given to both branches. */
  readonly if: { readonly then: Graph; readonly else: Graph };
  /**
   * Inputs: carried values, then invariants. Body inputs: the same; body outputs: carried values,
   * then values that are stacked along a new first axis of size `trip`.
   */
  readonly loop: {
    readonly trip: Size;
    readonly carried: number;
    readonly body: Graph;
    /** Name of the symbol that holds the iteration number inside the body. */
    readonly iteration: string;
  };
  /**
   * Inputs: go-on bool[], carried values, invariants. Body inputs: carried, invariants; body
   * outputs: go-on bool[], carried, stacked. Results: carried, stacked (capacity `limit`, the rest
   * zero), count i64[].
   */
  readonly while: {
    readonly limit: Size;
    readonly carried: number;
    readonly body: Graph;
    readonly iteration: string;
  };
  /** A named region whose body in primitives is its definition. */
  readonly composite: {
    readonly name: string;
    readonly parameters: Readonly<Record<string, string | number | boolean | readonly number[]>>;
    readonly body: Graph;
  };
};

export type OpName = keyof Attributes;

export interface NodeOf<O extends OpName> {
  readonly id: number;
  readonly op: O;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes[O];
  /** Type of the first (mostly the only) result. */
  readonly dtype: DType;
  readonly shape: readonly Size[];
  /** Types of all results; `part` nodes pick from them. */
  readonly results: readonly TensorType[];
}

export type Node = { readonly [O in OpName]: NodeOf<O> }[OpName];

/** Where a symbol of a graph gets its number. */
export type SymbolSource =
  | { readonly from: 'size'; readonly input: Node; readonly axis: number }
  /** Element of an integer tensor; known once that tensor is. */
  | { readonly from: 'element'; readonly node: Node; readonly index: number }
  /** The iteration number of the loop around this body. */
  | { readonly from: 'iteration' }
  /** A symbol of the graph around this region. */
  | { readonly from: 'outer' };

/** A relation between sizes that is checked when the numbers are known. */
export interface Requirement {
  readonly relation: 'equal' | 'atLeast';
  readonly left: Size;
  readonly right: Size;
  readonly what: string;
}

/** A program or the body of a region. Closed: everything that it uses is an input or inside. */
export interface Graph {
  readonly inputs: readonly NodeOf<'input'>[];
  readonly outputs: readonly Node[];
  readonly symbols: ReadonlyMap<string, SymbolSource>;
  readonly requirements: readonly Requirement[];
}

const interned = new Map<string, WeakRef<Node>>();
/** Entries after which those of collected nodes are looked for; a registry costs more per node. */
let mostInterned = 2 ** 14;

function sweep(): void {
  for (const [key, node] of interned) if (node.deref() === undefined) interned.delete(key);
  mostInterned = Math.max(2 ** 14, 2 * interned.size);
}

const objectIds = new WeakMap<object, number>();
let nextNode = 1;
let nextObject = 1;

function objectId(object: object): number {
  const known = objectIds.get(object);
  if (known !== undefined) return known;
  objectIds.set(object, nextObject);
  return nextObject++;
}

/** By its terms: attributes of reductions have `kind: 'sum'` too. */
const isSum = (value: object): value is Sum => 'terms' in value && 'key' in value;

/** Text that is equal for equal attribute values; tensors and bodies count by identity. */
function attributeKey(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(attributeKey).join(',')}]`;
  if (isSum(value)) return value.key;
  if (ArrayBuffer.isView(value) || 'data' in value || 'outputs' in value) {
    return `#${objectId(value)}`;
  }
  return `{${Object.entries(value)
    .map(([name, member]) => `${name}:${attributeKey(member)}`)
    .join(',')}}`;
}

/**
 * The node for an operation whose result types are known. Builders (build.ts) infer the types;
 * nothing else calls this.
 */
export function intern<O extends OpName>(
  op: O,
  inputs: readonly Node[],
  attributes: Attributes[O],
  results: readonly TensorType[],
): NodeOf<O> {
  const first = results[0];
  if (first === undefined) throw internal(`${op} without a result`);
  const create = (): NodeOf<O> =>
    Object.freeze({
      id: nextNode++,
      op,
      inputs,
      attributes,
      dtype: first.dtype,
      shape: first.shape,
      results,
    });
  if (op === 'input') return create();
  const key = `${op}${attributeKey(attributes)}(${inputs.map((node) => node.id).join(',')})`;
  const known = interned.get(key)?.deref();
  if (known !== undefined) return known as NodeOf<O>;
  const made = create();
  interned.set(key, new WeakRef(made as Node));
  if (interned.size > mostInterned) sweep();
  return made;
}

/** Narrows a node to one operation. */
export function isOp<O extends OpName>(node: Node, op: O): node is Extract<Node, { op: O }> {
  return node.op === op;
}
