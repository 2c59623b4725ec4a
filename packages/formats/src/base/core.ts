/** The few things that the readers take from core, in one place. */
export {
  bytesOf,
  type Details,
  type DType,
  dtypeFacts,
  type ErrorCode,
  elementCount,
  failure,
  type HostArray,
  type HostTensor,
  isFailure,
  type OpenClawError,
  refused,
} from '@open-claw/core/internal';
