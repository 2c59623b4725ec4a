/** Segments: steps between binds, each with the memory whose size is known once it begins. */
import type { Buffer, Procedure } from './program.js';

export interface Segment {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
  /** Buffers that are first touched here: temporaries and inputs. */
  readonly buffers: readonly Buffer[];
}

/** The segments of a procedure, in order; the first one holds the inputs. */
export function segmentRanges({ steps, buffers }: Procedure): readonly Segment[] {
  const starts = [0];
  steps.forEach((step, i) => {
    if (step.kind === 'bind' && steps[i + 1]?.kind !== 'bind' && i + 1 < steps.length) {
      starts.push(i + 1);
    }
  });
  const placed: Buffer[][] = starts.map(() => []);
  const isPlaced = ({ role }: Buffer): boolean => role === 'temporary' || role === 'input';
  let segment = 0;
  for (const buffer of buffers.filter(isPlaced).toSorted((a, b) => a.first - b.first)) {
    while (segment + 1 < starts.length && buffer.first >= (starts[segment + 1] as number)) {
      segment++;
    }
    placed[segment]?.push(buffer);
  }
  return starts.map((first, i) => {
    return { first, end: starts[i + 1] ?? steps.length, buffers: placed[i] as readonly Buffer[] };
  });
}

/** Buffers that results may be written to elsewhere, each for the first result that names it. */
export function ownResults({ results, buffers }: Procedure): readonly (number | undefined)[] {
  const byId = new Map(buffers.map((buffer) => [buffer.id, buffer]));
  const seen = new Set<number>();
  return results.map(({ buffer }) => {
    if (buffer === undefined || seen.has(buffer)) return undefined;
    seen.add(buffer);
    return byId.get(buffer)?.role === 'temporary' ? buffer : undefined;
  });
}

/** Buffers that are read at every run. */
export function readBuffers({ steps, results }: Procedure): ReadonlySet<number> {
  const read = new Set<number>();
  for (const step of steps) {
    if (step.kind === 'launch' || step.kind === 'operator')
      for (const id of step.buffers) read.add(id);
    if (step.kind === 'download') read.add(step.buffer);
    if (step.kind === 'region') for (const id of step.inputs) read.add(id);
  }
  for (const { buffer } of results) if (buffer !== undefined) read.add(buffer);
  return read;
}
