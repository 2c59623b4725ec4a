/**
 * What the importer takes from core: `build` makes graph nodes, `size` calculates with symbolic
 * sizes. Both have an `add`, which is why they stay apart.
 */
export * as build from '@open-claw/core/graph';
export {
  bytesOf,
  type DType,
  dtypeFacts,
  elementCount,
  expressions as size,
  failure,
  type Graph,
  type HostTensor,
  type HostValue,
  hostTensor,
  integerRange,
  internal,
  interpret,
  isFailure,
  isFloat,
  isInteger,
  isSigned,
  isUnsigned,
  isWide,
  type Node,
  type NodeOf,
  type OpenClawError,
  quoteText,
  type Requirement,
  readElement,
  type Size,
  valuesOf,
} from '@open-claw/core/graph';
