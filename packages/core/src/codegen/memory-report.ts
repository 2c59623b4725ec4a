/** What a program takes of device memory, before anything is allocated. */
import { product, type Size, substitute } from '../base/expression.js';
import type { Target } from '../base/target.js';
import { planMemory } from '../schedule/memory.js';
import type { LoopStep, Procedure, ProgramStep } from './program.js';
import { ownResults, readBuffers, segmentRanges } from './segments.js';

/** Numbers of symbols, by their name. */
export type Sizes = ReadonlyMap<string, number>;

/** Steps up to a size that depends on data, with the memory that they are given at once. */
export interface SegmentReport {
  readonly steps: number;
  /** Absent where a size is not known. */
  readonly bytes?: number;
}

export interface MemoryReport {
  /** Constants in the layouts that stay, with what kernels make of them. */
  readonly constantBytes: number;
  readonly segments: readonly SegmentReport[];
  /** All of it: an upper limit, absent where a size is not known. */
  readonly totalBytes?: number;
}

/** Throws OC-MEMORY-01 where a segment cannot be placed at all. */
export function reportMemory(main: Procedure, target: Target, sizes: Sizes): MemoryReport {
  const constantBytes = constantBytesOf(main);
  const segments = segmentsOf(main, target, sizes, new Set());
  const known = segments.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]));
  if (known.length < segments.length) return { constantBytes, segments };
  const status = 4;
  return { constantBytes, segments, totalBytes: constantBytes + sum(known) + status };
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

function constantBytesOf(procedure: Procedure): number {
  const read = readBuffers(procedure);
  const own = procedure.buffers
    .filter(({ role, id }) => role === 'once' || (role === 'constant' && read.has(id)))
    .map(({ bytes }) => Number(bytes));
  const inner = procedure.steps.flatMap(bodiesOf).map(({ body }) => constantBytesOf(body));
  return sum([...own, ...inner]);
}

function segmentsOf(
  procedure: Procedure,
  target: Target,
  sizes: Sizes,
  given: ReadonlySet<number>,
): SegmentReport[] {
  return segmentRanges(procedure).map(({ first, end, buffers }) => {
    const requests = buffers
      .filter(({ id }) => !given.has(id))
      .map(({ id, bytes, first: from, last }) => {
        return { id, bytes: numberOf(bytes, sizes), first: from, last };
      });
    const steps = end - first;
    const inner = procedure.steps
      .slice(first, end)
      .flatMap((step) => innerBytes(step, target, sizes));
    const isKnown = requests.every((request) => request.bytes !== undefined);
    if (!isKnown || inner.some((bytes) => bytes === undefined)) return { steps };
    const plan = planMemory(
      requests.map((request) => ({ ...request, bytes: request.bytes as number })),
      target,
      Number.POSITIVE_INFINITY,
    );
    return { steps, bytes: plan.totalBytes + sum(inner as number[]) };
  });
}

interface Body {
  readonly body: Procedure;
  /** Buffers that lie where the region wants them. */
  readonly given: ReadonlySet<number>;
}

function bodiesOf(step: ProgramStep): readonly Body[] {
  if (step.kind !== 'region') return [];
  if (step.op === 'if') {
    return [step.then, step.else].map((body) => ({ body, given: givenOf(body, ownResults(body)) }));
  }
  return [{ body: step.body, given: givenOf(step.body, carriedResults(step)) }];
}

function carriedResults({ op, body, carried }: LoopStep): readonly (number | undefined)[] {
  const first = op === 'while' ? 1 : 0;
  return ownResults(body).slice(first, first + carried);
}

function givenOf(body: Procedure, results: readonly (number | undefined)[]): ReadonlySet<number> {
  const inputs = body.parameters.map(({ buffer }) => buffer);
  return new Set([...inputs, ...results].filter((id) => id !== undefined));
}

function innerBytes(
  step: ProgramStep,
  target: Target,
  sizes: Sizes,
): readonly (number | undefined)[] {
  return bodiesOf(step).flatMap(({ body, given }) =>
    segmentsOf(body, target, sizes, given).map(({ bytes }) => bytes),
  );
}

function numberOf(size: Size, sizes: Sizes): number | undefined {
  const value = substitute(product([size]), (name) => sizes.get(name));
  return typeof value === 'number' ? value : undefined;
}
