/** What an open CPU device is made of. */
import type { Target } from '@open-claw/core/device/contract';
import type { Cache } from './cache.js';
import type { Runtime } from './runtime.js';

export interface DeviceOptions {
  readonly runtime: Runtime;
  readonly cache: Cache;
  readonly target: Target;
  /** Threads that one launch may use. */
  readonly threads: number;
}
