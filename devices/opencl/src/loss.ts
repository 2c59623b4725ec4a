/** Error codes of a driver as errors, and the moment from which a device is lost. */
import { failure, type Lost, type OpenClawError } from '@open-claw/core/device';
import { lostCodes, memoryCodes, nameOf } from './constants.js';

/** Whether a device is lost, and why. */
export class Loss {
  readonly lost: Promise<Lost>;
  private settle: (lost: Lost) => void = () => {};
  private error: OpenClawError | undefined;

  constructor() {
    this.lost = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** What every call rejects with from then on. */
  get gone(): OpenClawError | undefined {
    return this.error;
  }

  /** Throws where a code says that the device is gone. */
  check(code: number): void {
    if (lostCodes.has(code)) throw this.lose(code);
  }

  /** The error of a command that the driver did not take or did not end. */
  failureOf(command: number | string, code: number): OpenClawError {
    if (this.error !== undefined) return this.error;
    if (lostCodes.has(code)) return this.lose(code);
    const short = memoryCodes.has(code);
    const retry = short ? 'smaller' : 'other-device';
    const kind = short ? 'transient' : 'wrong';
    return failure('OC-DEVICE-02', { command, reason: nameOf(code) }, { kind, retry });
  }

  private lose(code: number): OpenClawError {
    const reason = nameOf(code);
    this.error ??= failure('OC-DEVICE-09', { reason }, { kind: 'transient', retry: 'reopen' });
    this.settle({ code: 'OC-DEVICE-09', reason, retry: 'reopen' });
    return this.error;
  }
}
