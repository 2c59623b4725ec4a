/** Times of a model's runs, and where they stand against the limits of the device. */
import type { Executable, HostTensor, Program, StepTime } from '@open-claw/core/face';
import { bytesOf, elementCount } from '@open-claw/core/internal';
import type { Peaks } from './peak.js';

export interface Times {
  readonly firstMs: number;
  readonly runs: number;
  readonly minMs: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  /** Half the distance between the quartiles, over the median. */
  readonly spread: number;
}

const leastRuns = 5;
const mostRuns = 10_000;
const wantedMs = 1000;

export interface MeasureOptions {
  readonly runs?: number;
  readonly timeLimit?: number;
  readonly signal: AbortSignal;
}

/** Runs with outputs that are allocated before: what repeated calls cost in the long run. */
export async function measureRuns(
  executable: Executable,
  inputs: readonly HostTensor[],
  { runs, timeLimit, signal }: MeasureOptions,
): Promise<{ readonly times: Times; readonly outputs: readonly HostTensor[] }> {
  const limits = { signal, ...(timeLimit === undefined ? {} : { timeLimit }) };
  const started = performance.now();
  const outputs = await executable.run(inputs, limits);
  const firstMs = performance.now() - started;
  const options = { ...limits, into: outputs };
  const warmed = performance.now();
  await executable.run(inputs, options);
  const once = Math.max(performance.now() - warmed, 1e-3);
  const fitting = Math.min(Math.max(Math.ceil(wantedMs / once), leastRuns), mostRuns);
  const count = runs ?? fitting;
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await executable.run(inputs, options);
    times.push(performance.now() - start);
  }
  return { times: summarize(times, firstMs), outputs };
}

export function summarize(times: readonly number[], firstMs: number): Times {
  const sorted = [...times].sort((a, b) => a - b);
  const medianMs = quantile(sorted, 0.5);
  return {
    firstMs,
    runs: times.length,
    minMs: sorted[0] ?? 0,
    medianMs,
    p90Ms: quantile(sorted, 0.9),
    spread: (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 / medianMs,
  };
}

/** Between neighbours by proportion. */
export function quantile(sorted: readonly number[], part: number): number {
  const at = (sorted.length - 1) * part;
  const [low, high] = [Math.floor(at), Math.ceil(at)];
  const [a, b] = [sorted[low] ?? 0, sorted[high] ?? 0];
  return a + (b - a) * (at - low);
}

export interface Work {
  /** Floating-point operations of all launches. */
  readonly flops: number;
  /** Constants, inputs and outputs moved once: less traffic than this cannot be. */
  readonly bytes: number;
}

/** The work of one run, counted while it is profiled, and the times of its launches. */
export async function workOf(
  program: Program,
  executable: Executable,
  inputs: readonly HostTensor[],
): Promise<Work & { readonly steps: readonly StepTime[] }> {
  const { outputs, steps } = await executable.profile(inputs);
  const constants = program.main.buffers
    .filter(({ role }) => role === 'constant')
    .reduce((total, { bytes }) => total + Number(bytes), 0);
  const moved = [...inputs, ...outputs].reduce(
    (total, { dtype, shape }) => total + elementCount(shape) * bytesOf(dtype),
    0,
  );
  const flops = steps.reduce((total, step) => total + step.flops, 0);
  return { flops, bytes: constants + moved, steps };
}

export interface Share {
  readonly rate: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
  readonly limitName: string;
  readonly limit: number;
  readonly share: number;
}

/** The rate in terms of the limit that the work meets first. */
export function shareOf({ flops, bytes }: Work, peaks: Peaks, medianMs: number): Share {
  const seconds = medianMs / 1000;
  const isCompute = flops / peaks.flops >= bytes / peaks.bandwidth;
  const [work, limit] = isCompute ? [flops, peaks.flops] : [bytes, peaks.bandwidth];
  return {
    rate: work / seconds / 1e9,
    unit: isCompute ? 'GFLOP/s' : 'GB/s',
    limitName: isCompute ? peaks.flopsName : peaks.bandwidthName,
    limit: limit / 1e9,
    share: work / seconds / limit,
  };
}
