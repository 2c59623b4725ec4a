/** Part of the door for chip makers: the contract, facts about chips, errors; no language. */
export * from '../base/dtype.js';
export type {
  Details,
  ErrorCode,
  FailureKind,
  FailureOptions,
  Message,
  Retry,
} from '../base/errors.js';
export {
  failure,
  internal,
  isFailure,
  OpenClawError,
  quoteText,
  refused,
  tooLarge,
} from '../base/errors.js';
export type { Expression, Size } from '../base/expression.js';
export * as expressions from '../base/expression.js';
export * from '../base/target.js';
export * from '../codegen/language.js';
export type { Override, OverrideParameters } from '../codegen/override.js';
export type * from '../kernel/tile.js';
export * from '../runtime/contract.js';
export type { TracedPlugin, TraceReport } from '../runtime/traced.js';
export { readBy, Validity, writtenBy } from '../runtime/validity.js';
