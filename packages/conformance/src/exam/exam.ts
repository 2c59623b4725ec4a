/**
 * The exam of a device: the rules of the contract, how programs end, and every primitive in every
 * dtype. A device's own test file runs it with its test framework; `claw conform` runs it too.
 */
import type { DevicePlugin } from '@open-claw/core';
import { isFailure } from '@open-claw/core/internal';
import { type CaseReport, type SuiteReport, suiteReport } from '../report.js';
import { contractTests } from './contract-tests.js';
import { graphTest, graphTestNames } from './graph-tests.js';
import { runTests } from './run-tests.js';
import { ExamSession } from './session.js';

/** A gap that a device has, written down. */
export interface Skip {
  readonly reason: string;
  /** Names of tests. */
  readonly tests: readonly string[];
}

export interface ExamOptions {
  /** Id of the device or of a row; the first found unless given. */
  readonly device?: string;
  readonly skip?: readonly Skip[];
}

/** What a test that did not fail found. */
export interface ExamOutcome {
  readonly maxError: number;
  /** Empty where nothing was refused. */
  readonly refused: string;
  /** Whether nothing at all could run. */
  readonly isRefused: boolean;
}

export interface ExamTest {
  /** As `contract/…`, `run/…`, `graph/add`. */
  readonly name: string;
  /** Why it is not to be run. */
  readonly skip?: string;
  /** Rejects where the device does not do what it must. */
  run(): Promise<ExamOutcome>;
}

const fine: ExamOutcome = { maxError: 0, refused: '', isRefused: false };

/**
 * The tests; each opens the device for itself. Throws where a skipped test does not exist, so that
 * a list of gaps cannot outlive them.
 */
export function deviceExam(plugin: DevicePlugin, options: ExamOptions = {}): readonly ExamTest[] {
  const { device, skip = [] } = options;
  let session: Promise<ExamSession> | undefined;
  const found = (): Promise<ExamSession> => {
    session ??= ExamSession.find(plugin, device);
    return session;
  };
  const plain = (room: string, tests: typeof contractTests): ExamTest[] =>
    Object.entries(tests).map(([name, test]) => ({
      name: `${room}/${name}`,
      run: async () => {
        await test(await found());
        return fine;
      },
    }));
  const graphs = graphTestNames.map(
    (op): ExamTest => ({
      name: `graph/${op}`,
      run: async () => {
        const { maxError, refused, passed } = await graphTest(await found(), op);
        const isRefused = passed.length === 0 && refused.length > 0;
        return { maxError, refused: refused.join(', '), isRefused };
      },
    }),
  );
  const tests = [...plain('contract', contractTests), ...plain('run', runTests), ...graphs];
  const reasons = new Map(skip.flatMap((each) => each.tests.map((name) => [name, each.reason])));
  for (const name of reasons.keys()) {
    if (!tests.some((test) => test.name === name)) throw new Error(`there is no test "${name}"`);
  }
  return tests.map((test) => {
    const reason = reasons.get(test.name);
    return reason === undefined ? test : { ...test, skip: reason };
  });
}

export interface RunExamOptions extends ExamOptions {
  readonly filter?: RegExp;
  readonly onStart?: (total: number) => void;
  readonly onCase?: (report: CaseReport) => void;
}

/** Runs the exam in this process; skipped tests are not counted. */
export async function runExam(
  plugin: DevicePlugin,
  options: RunExamOptions = {},
): Promise<SuiteReport> {
  const tests = deviceExam(plugin, options).filter(
    ({ name, skip }) => skip === undefined && options.filter?.test(name) !== false,
  );
  options.onStart?.(tests.length);
  const cases: CaseReport[] = [];
  for (const test of tests) {
    const report = await reportOf(test);
    cases.push(report);
    options.onCase?.(report);
  }
  return suiteReport({ name: 'device exam', sha256: '' }, cases);
}

async function reportOf({ name, run }: ExamTest): Promise<CaseReport> {
  const start = Date.now();
  const base = { name, hostSteps: 0 };
  try {
    const { maxError, refused, isRefused } = await run();
    const reason = refused === '' ? {} : { reason: `refused by name: ${refused}` };
    const outcome = isRefused ? 'refused' : 'passed';
    return { ...base, outcome, ...reason, maxError, ms: Date.now() - start };
  } catch (error) {
    const reason =
      error instanceof Error ? (error.message.split('\n')[0] as string) : String(error);
    const outcome = isFailure(error) && error.kind === 'refused' ? 'refused' : 'failed';
    return { ...base, outcome, reason, maxError: 0, ms: Date.now() - start };
  }
}
