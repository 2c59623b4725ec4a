/**
 * What launches have taken so far, beside what the compiler estimated: a list of commands that has
 * been seen to be short runs on the caller's thread.
 */

/** How a kernel keeps to its estimates, once it has run. */
export interface Pace {
  /** Measured over estimated time. */
  rate: number | undefined;
  /** The estimate, in microseconds, of the launch that was measured. */
  estimate: number;
}

/** A launch of a packed list. */
export interface PacedLaunch {
  /** Which command of the list it is. */
  readonly index: number;
  readonly pace: Pace;
  /** Estimated microseconds of the launch. */
  readonly estimate: number;
}

interface Paced {
  readonly launches: readonly PacedLaunch[];
  /** Estimated microseconds of all commands. */
  readonly microseconds: number;
}

/** Estimates are rough: work estimated below this runs on the caller's thread. */
const longestEstimate = 600;
/** Measured work may be longer: handing it over costs 60 to 180 µs and a cold cache. */
const longestMeasured = 3000;
/** Estimated microseconds below which a list is short without being measured. */
const shortestMeasured = 100;
/** Launches estimated at so many times what was measured have no measured rate. */
const widest = 2;
/** A rate falls to a shorter time at once, since noise only adds, and rises by this a run … */
const rise = 1.1;
/** … unless the launch took so many microseconds, which holds the caller's thread too long. */
const surelyLong = 4 * longestMeasured;

/** The rate of a launch estimated at so many microseconds; undefined where it is not known. */
const rateFor = (pace: Pace, estimate: number): number | undefined =>
  estimate <= widest * pace.estimate ? pace.rate : undefined;

/** Whether the caller's thread is held for too short a time to be worth another thread. */
export function isShort(lists: readonly Paced[]): boolean {
  let estimated = 0;
  let measured = 0;
  let count = 0;
  let isMeasured = true;
  for (const { launches, microseconds } of lists) {
    estimated += microseconds;
    measured += microseconds;
    count += launches.length;
    for (const { pace, estimate } of launches) {
      const rate = rateFor(pace, estimate);
      if (rate === undefined) isMeasured = false;
      else measured += estimate * (rate - 1);
    }
  }
  return count > 0 && isMeasured ? measured < longestMeasured : estimated < longestEstimate;
}

/** Takes the nanoseconds of a list's commands after a run that ended well. */
export function learnPace({ launches, microseconds }: Paced, times: BigInt64Array): void {
  if (microseconds < shortestMeasured) return;
  for (const { index, pace, estimate } of launches) {
    const seen = Number(times[index]) / 1000 / estimate;
    const before = rateFor(pace, estimate) ?? seen;
    pace.rate = seen * estimate > surelyLong ? seen : Math.min(seen, before * rise);
    pace.estimate = estimate;
  }
}
