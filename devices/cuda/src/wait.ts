/** Waiting for a stream without holding the event loop, and ending early when told to. */
import { failure, type OpenClawError, type Stop } from '@open-claw/core/device';
import type { Context } from './context.js';

/** When to stop, with the clock running since the submit. */
export interface Watch {
  readonly stop: Stop;
  readonly until: number;
}

export function watchOf(stop: Stop): Watch | undefined {
  if (stop.signal === undefined && stop.timeLimit === undefined) return undefined;
  return { stop, until: performance.now() + (stop.timeLimit ?? Number.POSITIVE_INFINITY) };
}

/** The error of a stop that is due, for the command that would be next. */
export function checkStop(watch: Watch | undefined, command: number): OpenClawError | undefined {
  if (watch === undefined) return undefined;
  const { signal, timeLimit } = watch.stop;
  if (signal?.aborted === true) {
    return failure('OC-DEVICE-05', { command }, { cause: signal.reason });
  }
  if (performance.now() <= watch.until) return undefined;
  return failure('OC-DEVICE-04', { limit: timeLimit ?? 0, command }, { retry: 'smaller' });
}

export interface Waited {
  /** The driver's code: 0, or why the stream failed. */
  readonly code: number;
  readonly stopped?: OpenClawError;
  /** The stream went on for too long after the stop. */
  readonly stuck: boolean;
}

/** Looking again at once is cheap for so long; then every millisecond is enough. */
const eagerMilliseconds = 1;
/** What a kernel that runs may still take after a stop, before its device counts as lost. */
const graceMilliseconds = 2000;

/** Resolves when the stream is idle or has failed. */
export async function isIdle(context: Context, watch?: Watch): Promise<Waited> {
  if (!context.has('streamQuery')) {
    return { code: await context.card.calls.callAside('streamWait', context.stream), stuck: false };
  }
  const start = performance.now();
  let stopped: OpenClawError | undefined;
  let stoppedAt = 0;
  for (;;) {
    const code = context.raw('streamQuery', context.stream);
    const result = stopped === undefined ? { code } : { code, stopped };
    if (context.meaning(code) !== 'notReady') return { ...result, stuck: false };
    const now = performance.now();
    if (stopped === undefined) {
      stopped = checkStop(watch, 0);
      stoppedAt = now;
    } else if (now - stoppedAt > graceMilliseconds) return { code: 0, stopped, stuck: true };
    await new Promise<void>((resume) => {
      if (now - start < eagerMilliseconds) setImmediate(resume);
      else setTimeout(resume, 1);
    });
  }
}
