/**
 * Work in order without holding the thread: jobs are generators that pause between slices; the
 * queue runs slices for a few milliseconds, then lets the event loop have a turn.
 */

/** Yields where the work may pause. */
export type Job = Generator<void, void, void>;

/** Longest time in milliseconds that one turn of the queue takes. */
const turnMilliseconds = 3;

/** Longest time that work runs inside of the caller's own call. */
const inlineMilliseconds = 0.5;

type Later = (callback: () => void) => void;

/** A turn of the event loop, by the quickest means that the surroundings have. */
const later: Later = (() => {
  const { setImmediate } = globalThis as { setImmediate?: Later };
  if (setImmediate !== undefined) return setImmediate;
  if (typeof MessageChannel === 'undefined') return (callback) => void setTimeout(callback, 0);
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return (callback) => {
    waiting.push(callback);
    port2.postMessage(0);
  };
})();

export class Queue {
  private readonly jobs: Job[] = [];
  private running = false;
  private scheduled = false;
  private turnedAt = 0;

  /** Whether the event loop has had no turn for long: what comes next should wait for one. */
  get isOverdue(): boolean {
    return performance.now() - this.turnedAt > turnMilliseconds;
  }

  /** Whether nothing waits or runs. */
  get isIdle(): boolean {
    return this.jobs.length === 0;
  }

  /** Adds work behind all earlier work; `small` work starts at once where nothing waits. */
  add(job: Job, small: boolean): void {
    this.jobs.push(job);
    if (small && this.jobs.length === 1 && !this.running) this.turn(inlineMilliseconds);
    this.schedule();
  }

  /** Resolves when everything added so far has run. */
  drained(): Promise<void> {
    if (this.jobs.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.add(once(resolve), false);
    });
  }

  private schedule(): void {
    if (this.scheduled || this.jobs.length === 0) return;
    this.scheduled = true;
    later(() => {
      this.scheduled = false;
      this.turnedAt = performance.now();
      this.turn(turnMilliseconds);
      this.schedule();
    });
  }

  private turn(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    this.running = true;
    for (let job = this.jobs[0]; job !== undefined; job = this.jobs[0]) {
      if (job.next().done === true) this.jobs.shift();
      if (performance.now() > end) break;
    }
    this.running = false;
  }
}

/** Time that a job works, without its pauses. */
export class Stopwatch {
  milliseconds = 0;

  *measure(job: Job): Job {
    for (;;) {
      const before = performance.now();
      const { done } = job.next();
      this.milliseconds += performance.now() - before;
      if (done === true) return;
      yield;
    }
  }
}

// biome-ignore lint/correctness/useYield: a job without a pause
export function* once(work: () => void): Job {
  work();
}

export function* settling(job: Job, resolve: () => void, reject: (error: unknown) => void): Job {
  try {
    yield* job;
    resolve();
  } catch (error) {
    reject(error);
  }
}
