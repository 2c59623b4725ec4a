/** What a conformance run says: the outcome of every case, and the counts. */
import type { CaseResult, Outcome } from '@open-claw/formats';

/** One case. It passes only where every tensor kernel ran on the device. */
export interface CaseReport {
  /** `suite/case`. */
  readonly name: string;
  readonly outcome: Outcome;
  readonly reason?: string;
  /** Largest |computed − stored| over finite numbers. */
  readonly maxError: number;
  /** Nodes computed on the host: shape arithmetic and strings. */
  readonly hostSteps: number;
  readonly ms: number;
  /** Inputs whose values the program was made for; absent where there are none. */
  readonly fixed?: readonly string[];
}

export interface SuiteReport {
  readonly suite: { readonly name: string; readonly sha256: string };
  readonly total: number;
  readonly passed: number;
  readonly failed: number;
  readonly refused: number;
  readonly disputed: number;
  readonly crashed: number;
  readonly timeout: number;
  readonly cases: readonly CaseReport[];
}

export function caseReport(result: CaseResult, hostSteps: number): CaseReport {
  const { name, outcome, reason, maxError, ms, fixed } = result;
  return {
    name,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    maxError,
    hostSteps,
    ms,
    ...(fixed.length === 0 ? {} : { fixed }),
  };
}

export function suiteReport(
  suite: SuiteReport['suite'],
  cases: readonly CaseReport[],
): SuiteReport {
  const count = (outcome: Outcome): number =>
    cases.filter((each) => each.outcome === outcome).length;
  return {
    suite,
    total: cases.length,
    passed: count('passed'),
    failed: count('failed'),
    refused: count('refused'),
    disputed: count('disputed'),
    crashed: count('crashed'),
    timeout: count('timeout'),
    cases,
  };
}

/** Whether nothing failed, crashed or ran out of time. */
export const isClean = ({ failed, crashed, timeout }: SuiteReport): boolean =>
  failed + crashed + timeout === 0;
