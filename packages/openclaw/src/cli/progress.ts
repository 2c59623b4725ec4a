/** Progress bars: on a terminal only, on the error stream, so that pipes stay clean. */
import progress from 'cli-progress';
import type { LoadProgress } from '../model/options.js';
import type { Context } from './context.js';

export interface Bar {
  readonly total: (count: number) => void;
  readonly step: () => void;
  readonly stop: () => void;
}

const silent: Bar = { total: () => {}, step: () => {}, stop: () => {} };

export function progressBar({ isTerminal }: Context, label: string): Bar {
  if (!isTerminal) return silent;
  const bar = new progress.SingleBar({
    format: `${label} {bar} {value}/{total}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(1, 0);
  return {
    total: (count) => bar.setTotal(count),
    step: () => bar.increment(),
    stop: () => bar.stop(),
  };
}

/** Shows the stages of loading while `work` goes on. */
export async function withProgress<T>(
  context: Context,
  work: (onProgress: (progress: LoadProgress) => void) => Promise<T>,
): Promise<T> {
  const bar = progressBar(context, context.texts.compiling);
  try {
    return await work(({ done, total }) => {
      bar.total(total);
      if (done > 0) bar.step();
    });
  } finally {
    bar.stop();
  }
}
