/** Why a file cannot be an input. */
import { failure } from '@open-claw/core/internal';

export const inputFailure = (path: string, reason: string): Error =>
  failure('OC-INPUT-05', { path, reason }, { kind: 'usage' });
