/** What the C runtime's codes mean. */
import { failure, type OpenClawError, type Stop } from '@open-claw/core/device/contract';
import { freeBytes } from './machine.js';

/** Reasons of runtime.c as errors. */
export function reasonOf(reason: number, command: number, stop: Stop): OpenClawError {
  switch (reason) {
    case 1:
      return failure('OC-DEVICE-05', { command }, { cause: stop.signal?.reason });
    case 2:
      return failure('OC-DEVICE-04', { limit: stop.timeLimit ?? 0, command }, { retry: 'smaller' });
    case 3:
      return failure(
        'OC-DEVICE-01',
        { asked: 'scratch', free: freeBytes(), command },
        { kind: 'transient', retry: 'smaller' },
      );
    default:
      return failure('OC-DEVICE-02', { command, reason: `the runtime gave ${reason}` });
  }
}
