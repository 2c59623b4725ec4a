/**
 * The parsed form of ONNX files as plain read-only data: what `readModel` gives and `writeModel`
 * takes. Names and meanings: onnx.proto and onnx-data.proto of ONNX, IR version 13.
 */

/** ONNX `TensorProto.DataType` by number; the index is the value on the wire. */
export const ONNX_DATA_TYPES = [
  'UNDEFINED',
  'FLOAT',
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'INT32',
  'INT64',
  'STRING',
  'BOOL',
  'FLOAT16',
  'DOUBLE',
  'UINT32',
  'UINT64',
  'COMPLEX64',
  'COMPLEX128',
  'BFLOAT16',
  'FLOAT8E4M3FN',
  'FLOAT8E4M3FNUZ',
  'FLOAT8E5M2',
  'FLOAT8E5M2FNUZ',
  'UINT4',
  'INT4',
  'FLOAT4E2M1',
  'FLOAT8E8M0',
  'UINT2',
  'INT2',
] as const;

export type OnnxDataType = (typeof ONNX_DATA_TYPES)[number];

/** Whole file. `graph` is always present: a file without one is refused by `readModel`. */
export interface ModelProto {
  readonly irVersion: number;
  readonly opsetImport: readonly OperatorSetId[];
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: bigint;
  readonly docString: string;
  readonly graph: GraphProto;
  readonly functions: readonly FunctionProto[];
  readonly trainingInfo: readonly TrainingInfoProto[];
  readonly metadata: readonly StringEntry[];
}

/** `domain` is '' for ai.onnx, as on the wire; `normalizeDomain` maps 'ai.onnx' to ''. */
export interface OperatorSetId {
  readonly domain: string;
  readonly version: number;
}

export interface StringEntry {
  readonly key: string;
  readonly value: string;
}

export interface GraphProto {
  readonly name: string;
  readonly docString: string;
  readonly nodes: readonly NodeProto[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly initializers: readonly TensorProto[];
  readonly sparseInitializers: readonly SparseTensorProto[];
  readonly quantization: readonly TensorAnnotation[];
  readonly metadata: readonly StringEntry[];
}

/** '' in `inputs` or `outputs` is an omitted optional value. */
export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly overload: string;
  readonly docString: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly AttributeProto[];
  readonly metadata: readonly StringEntry[];
}

/**
 * One attribute, told apart by `kind`. `reference` is `ref_attr_name` inside a function body: the
 * value is the calling node's attribute of that name, of kind `type`.
 * Integers stay bigint because INT64_MIN and INT64_MAX are used as markers (Slice, Loop).
 */
export type AttributeProto = {
  readonly name: string;
  readonly docString?: string;
} & AttributeValue;

export type AttributeValue =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: ByteText }
  | { readonly kind: 'tensor'; readonly value: TensorProto }
  | { readonly kind: 'graph'; readonly value: GraphProto }
  | { readonly kind: 'sparseTensor'; readonly value: SparseTensorProto }
  | { readonly kind: 'type'; readonly value: ValueType }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'strings'; readonly value: readonly ByteText[] }
  | { readonly kind: 'tensors'; readonly value: readonly TensorProto[] }
  | { readonly kind: 'graphs'; readonly value: readonly GraphProto[] }
  | { readonly kind: 'sparseTensors'; readonly value: readonly SparseTensorProto[] }
  | { readonly kind: 'types'; readonly value: readonly ValueType[] }
  | { readonly kind: 'reference'; readonly value: string; readonly type: AttributeKind };

export type AttributeKind = Exclude<AttributeValue['kind'], 'reference'>;

/** ONNX `AttributeProto.AttributeType` by number. */
export const ATTRIBUTE_KINDS: readonly (AttributeKind | null)[] = [
  null,
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
  'sparseTensor',
  'sparseTensors',
  'type',
  'types',
];

/** A protobuf `bytes` value used as text: a string when it is valid UTF-8, else the bytes. */
export type ByteText = string | Uint8Array;

/** Exactly one payload field is set, except for tensors without elements, which may have none. */
export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  /** Number as on the wire; `ONNX_DATA_TYPES[dataType]` is its name when it is known. */
  readonly dataType: number;
  readonly docString?: string;
  /** Little-endian, a view into the file's bytes. */
  readonly rawData?: Uint8Array;
  readonly floatData?: Float32Array;
  readonly int32Data?: Int32Array;
  readonly int64Data?: BigInt64Array;
  readonly doubleData?: Float64Array;
  readonly uint64Data?: BigUint64Array;
  readonly stringData?: readonly ByteText[];
  /** Set when `data_location` is EXTERNAL: the entries exactly as in the file, unchecked. */
  readonly externalData?: readonly StringEntry[];
}

/** COO: `values` 1-D of length n, `indices` int64 [n] (linear) or [n, rank]. */
export interface SparseTensorProto {
  readonly values: TensorProto;
  readonly indices: TensorProto;
  readonly dims: readonly number[];
}

/** A known size, a named symbol, or null for an unknown one. */
export type Dimension = number | string | null;

export type ValueType =
  | TensorType
  | { readonly kind: 'sequence'; readonly element: ValueType }
  | { readonly kind: 'optional'; readonly element: ValueType }
  | { readonly kind: 'map'; readonly keyType: number; readonly value: ValueType }
  | { readonly kind: 'opaque'; readonly domain: string; readonly name: string };

/** `shape` null: unknown rank; []: a scalar. */
export interface TensorType {
  readonly kind: 'tensor' | 'sparseTensor';
  readonly dataType: number;
  readonly shape: readonly Dimension[] | null;
}

/** `type` null: not stated in the file. */
export interface ValueInfo {
  readonly name: string;
  readonly type: ValueType | null;
  readonly docString?: string;
}

export interface TensorAnnotation {
  readonly tensorName: string;
  readonly parameters: readonly StringEntry[];
}

/** A model-local function; identified by (domain, name, overload). */
export interface FunctionProto {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly docString: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of attributes without default. */
  readonly attributeNames: readonly string[];
  /** Attributes with a default value. */
  readonly attributeDefaults: readonly AttributeProto[];
  readonly nodes: readonly NodeProto[];
  readonly opsetImport: readonly OperatorSetId[];
  readonly valueInfo: readonly ValueInfo[];
  readonly metadata: readonly StringEntry[];
}

export interface TrainingInfoProto {
  readonly initialization: GraphProto | null;
  readonly algorithm: GraphProto | null;
  readonly initializationBinding: readonly StringEntry[];
  readonly updateBinding: readonly StringEntry[];
}

/** onnx-data.proto `SequenceProto`; all values are of one kind. */
export interface SequenceProto {
  readonly name: string;
  readonly values: readonly ValueProto[];
}

/** onnx-data.proto `MapProto`; keys are int64 or text. */
export interface MapProto {
  readonly name: string;
  readonly keyType: number;
  readonly keys: readonly bigint[] | readonly ByteText[];
  readonly values: SequenceProto;
}

/** onnx-data.proto `OptionalProto`; null is "none". */
export interface OptionalProto {
  readonly name: string;
  readonly value: ValueProto | null;
}

/** Any run-time value that a test file can hold. */
export type ValueProto =
  | { readonly kind: 'tensor'; readonly value: TensorProto }
  | { readonly kind: 'sparseTensor'; readonly value: SparseTensorProto }
  | { readonly kind: 'sequence'; readonly value: SequenceProto }
  | { readonly kind: 'map'; readonly value: MapProto }
  | { readonly kind: 'optional'; readonly value: OptionalProto };

/** 'ai.onnx' and '' are one domain; the empty string is the form used in this package. */
export function normalizeDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}
