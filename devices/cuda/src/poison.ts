/** Which bytes of a memory hold nothing that may be read: a failed command was to write them. */
import type { OpenClawError } from '@open-claw/core/device';

interface Spoiled {
  readonly start: number;
  readonly end: number;
  readonly error: OpenClawError;
}

/** Spoiled ranges of one memory; they never overlap. */
export class Poison {
  private ranges: readonly Spoiled[] = [];

  /** The error behind the first spoiled byte of [start, end). */
  errorIn(start: number, end: number): OpenClawError | undefined {
    return this.ranges.find((range) => range.start < end && start < range.end)?.error;
  }

  /** [start, end) was written. */
  heal(start: number, end: number): void {
    if (this.ranges.length === 0) return;
    this.ranges = this.ranges.flatMap((range) => {
      if (range.end <= start || range.start >= end) return [range];
      return [
        { ...range, end: start },
        { ...range, start: end },
      ].filter((rest) => rest.start < rest.end);
    });
  }

  /** [start, end) was to be written by a command that failed. */
  spoil(start: number, end: number, error: OpenClawError): void {
    if (start >= end) return;
    this.heal(start, end);
    this.ranges = [...this.ranges, { start, end, error }];
  }
}
