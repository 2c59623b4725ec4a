/** Worker processes that take cases one by one; one that dies or hangs is replaced. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WorkerAnswer, WorkerOrder, WorkerStart } from './messages.js';
import type { CaseReport } from './report.js';

/** Time over the limit after which a worker that does not answer is ended. */
const graceMilliseconds = 5000;
const startMilliseconds = 120_000;

type End =
  | { readonly kind: 'answer'; readonly answer: WorkerAnswer }
  | { readonly kind: 'exit'; readonly reason: string }
  | { readonly kind: 'timeout' };

/** The built worker; from the sources (tests) it is found in dist too. */
const workerFile = fileURLToPath(new URL('../dist/worker.js', import.meta.url));

class Worker {
  private readonly child: ChildProcess;
  private end: ((end: End) => void) | undefined;
  private exited: string | undefined;
  private lastLines = '';

  constructor() {
    this.child = fork(workerFile, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.lastLines = `${this.lastLines}${bytes.toString('utf8')}`.slice(-500);
    });
    this.child.on('message', (answer: WorkerAnswer) => this.finish({ kind: 'answer', answer }));
    this.child.on('error', (error) => this.gone(error.message));
    this.child.on('exit', (code, signal) => {
      this.gone(signal === null ? `the process ended with ${code}` : `the process got ${signal}`);
    });
  }

  private gone(what: string): void {
    this.exited = `${what} ${this.lastLines}`.trim();
    this.finish({ kind: 'exit', reason: this.exited });
  }

  private finish(end: End): void {
    this.end?.(end);
    this.end = undefined;
  }

  ask(order: WorkerOrder, milliseconds: number): Promise<End> {
    return new Promise((resolve) => {
      if (this.exited !== undefined) return resolve({ kind: 'exit', reason: this.exited });
      const timer = setTimeout(() => this.finish({ kind: 'timeout' }), milliseconds);
      this.end = (end) => {
        clearTimeout(timer);
        resolve(end);
      };
      this.child.send(order);
    });
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}

export interface PoolOptions extends Omit<WorkerStart, 'kind'> {
  readonly workers: number;
  readonly signal?: AbortSignal;
  readonly onCase?: (report: CaseReport) => void;
}

/** Runs the named cases; reports come in the order of the names. */
export async function runPool(
  names: readonly string[],
  options: PoolOptions,
): Promise<readonly CaseReport[]> {
  const reports: CaseReport[] = [];
  let next = 0;
  const line = async (): Promise<void> => {
    let worker: Worker | undefined;
    try {
      for (let at = next++; at < names.length; at = next++) {
        options.signal?.throwIfAborted();
        worker ??= await started(options);
        const name = names[at] as string;
        const { report, lives } = await oneCase(worker, name, options.timeLimit);
        reports[at] = report;
        options.onCase?.(report);
        if (!lives) {
          worker.stop();
          worker = undefined;
        }
      }
    } finally {
      worker?.stop();
    }
  };
  const count = Math.max(1, Math.min(options.workers, names.length));
  await Promise.all(Array.from({ length: count }, line));
  return reports;
}

async function started({ suite, device, plugins, timeLimit }: PoolOptions): Promise<Worker> {
  const worker = new Worker();
  const order: WorkerStart = { kind: 'start', suite, device, plugins, timeLimit };
  const end = await worker.ask(order, startMilliseconds);
  if (end.kind === 'answer' && end.answer.kind === 'ready') return worker;
  worker.stop();
  throw new Error(`a worker did not start: ${reasonOf(end)}`);
}

function reasonOf(end: End): string {
  if (end.kind === 'timeout') return 'no answer in time';
  if (end.kind === 'exit') return end.reason;
  return end.answer.kind === 'fault' ? end.answer.reason : end.answer.kind;
}

async function oneCase(
  worker: Worker,
  name: string,
  timeLimit: number,
): Promise<{ readonly report: CaseReport; readonly lives: boolean }> {
  const start = Date.now();
  const end = await worker.ask({ kind: 'case', name }, timeLimit + graceMilliseconds);
  if (end.kind === 'answer' && end.answer.kind === 'result') {
    return { report: end.answer.report, lives: true };
  }
  const outcome = end.kind === 'timeout' ? 'timeout' : 'crashed';
  const reason = end.kind === 'timeout' ? `more than ${timeLimit} ms` : reasonOf(end);
  const ms = Date.now() - start;
  return { report: { name, outcome, reason, maxError: 0, hostSteps: 0, ms }, lives: false };
}
