/** The ONNX backend suite on a device: every case isolated, every outcome written down. */
import { casesOf } from '@open-claw/formats';
import { runPool } from './pool.js';
import { readSuite } from './read-suite.js';
import { type CaseReport, type SuiteReport, suiteReport } from './report.js';

export interface ConformOptions {
  /** A folder or a .tar.gz of ONNX backend cases. */
  readonly suite: string;
  /** Id of a device, or `interpreter`. */
  readonly device: string;
  /** Addresses of modules (file: URLs) that export `plugin`; the device is one of theirs. */
  readonly plugins: readonly string[];
  readonly filter?: RegExp;
  /** Milliseconds for one case; 60,000 unless given. */
  readonly timeLimit?: number;
  /** Processes at the same time; 1 unless given. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onStart?: (total: number) => void;
  readonly onCase?: (report: CaseReport) => void;
}

/** Throws where the suite cannot be read or the device does not open in a worker. */
export async function conform(options: ConformOptions): Promise<SuiteReport> {
  const { name, sha256, files } = readSuite(options.suite);
  const names = casesOf(files)
    .map((each) => each.name)
    .filter((each) => options.filter?.test(each) !== false);
  options.onStart?.(names.length);
  const { suite, device, plugins, signal, onCase, timeLimit = 60_000, workers = 1 } = options;
  const cases = await runPool(names, {
    suite,
    device,
    plugins,
    timeLimit,
    workers,
    ...(signal === undefined ? {} : { signal }),
    ...(onCase === undefined ? {} : { onCase }),
  });
  return suiteReport({ name, sha256 }, cases);
}
