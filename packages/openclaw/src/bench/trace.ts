/** Times of a run's steps in the Chrome trace format: chrome://tracing and Perfetto read it. */
import type { StepTime } from '@open-claw/core/face';

/** One profiled run: a model on a device. */
export interface TracedRun {
  readonly model: string;
  readonly device: string;
  readonly steps: readonly StepTime[];
}

/** Microseconds, from the start of each run's first step; a process of the trace is one run. */
export function chromeTrace(runs: readonly TracedRun[]): object {
  const traceEvents = runs.flatMap(({ model, device, steps }, i) => {
    const pid = i + 1;
    const origin = steps[0]?.start ?? 0;
    const name = { name: 'process_name', ph: 'M', pid, args: { name: `${model} ${device}` } };
    const events = steps.map(({ operator, entry, start, milliseconds, flops, bytes }) => ({
      name: operator,
      cat: 'launch',
      ph: 'X',
      ts: (start - origin) * 1000,
      dur: milliseconds * 1000,
      pid,
      tid: 1,
      args: { entry, flops, bytes },
    }));
    return [name, ...events];
  });
  return { displayTimeUnit: 'ms', traceEvents };
}
