/** The few things that the readers take from core, in one place. */

// A part of a door: the whole of another would load what readers of arrays never use.
export { type Details, failure, refused } from '@open-claw/core/device/contract';
export {
  allocateArray,
  bytesOf,
  type DType,
  dtypeFacts,
  dtypes,
  type ErrorCode,
  elementCount,
  type HostArray,
  type HostTensor,
  type HostValue,
  hostTensor,
  integerRange,
  isFailure,
  isFloat,
  isInteger,
  type OpenClawError,
  readElement,
} from '@open-claw/core/face';
