/** Runs the trained network on every device that is here and on the interpreter. */
import {
  type Absent,
  type Evidence,
  jit,
  listDevices,
  setDevice,
  type Tensor,
} from '@open-claw/core';
import type { Drawings } from './drawing.js';
import { network, type Weights } from './network.js';
import { tensorsOfDrawings } from './train.js';

export interface Outcome {
  readonly device: string;
  readonly model: string;
  /** Undefined for the interpreter, which is no device. */
  readonly evidence: Evidence | undefined;
  readonly result:
    | { readonly milliseconds: number; readonly difference: number; readonly same: number }
    | { readonly failure: string };
}

export interface Comparison {
  readonly outcomes: readonly Outcome[];
  readonly absent: readonly Absent[];
}

const read = jit((weights: Weights, images: Tensor) => network.apply(weights, images));

interface Scores {
  readonly scores: Float32Array;
  readonly milliseconds: number;
}

/** Scores [count, 10] and the time of the second run, when all is compiled and in place. */
async function scoresOn(device: string, weights: Weights, images: Tensor): Promise<Scores> {
  setDevice(device);
  await (await read(weights, images)).data();
  const start = performance.now();
  const scores = (await (await read(weights, images)).data()) as Float32Array;
  return { scores, milliseconds: performance.now() - start };
}

const answer = (scores: Float32Array, row: number): number => {
  const ten = scores.subarray(row * 10, row * 10 + 10);
  return ten.indexOf(Math.max(...ten));
};

export async function compareDevices(
  weights: Weights,
  drawings: Drawings,
  count: number,
): Promise<Comparison> {
  const { images } = tensorsOfDrawings(drawings, 0, count);
  const reference = await scoresOn('interpreter', weights, images);
  const outcomes: Outcome[] = [];
  const absent: Absent[] = [];
  const compare = ({ scores, milliseconds }: Scores): Outcome['result'] => {
    const rows = Array.from({ length: count }, (_, row) => row);
    const expected = reference.scores;
    return {
      milliseconds,
      // NaN wins in Math.max, so it shows.
      difference: scores.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (expected[i] as number))),
        0,
      ),
      same: rows.filter((row) => answer(scores, row) === answer(expected, row)).length,
    };
  };
  for (const listing of await listDevices()) {
    if ('absent' in listing) {
      absent.push(listing.absent);
      continue;
    }
    const { evidence, found } = listing;
    const facts = { device: found.id, model: `${found.model}, ${found.driver}`, evidence };
    try {
      outcomes.push({ ...facts, result: compare(await scoresOn(found.id, weights, images)) });
    } catch (error) {
      const failure =
        error instanceof Error ? (error.message.split('\n')[0] as string) : `${error}`;
      outcomes.push({ ...facts, result: { failure } });
    }
  }
  const result = compare(reference);
  outcomes.push({ device: 'interpreter', model: '', evidence: undefined, result });
  return { outcomes, absent };
}
