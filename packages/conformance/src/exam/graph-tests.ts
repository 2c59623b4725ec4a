/** Every primitive in every dtype on a device, against the interpreter within the op table. */
import type { Device } from '@open-claw/core';
import {
  type DType,
  dtypes,
  graphOf,
  interpretWithBounds,
  isFailure,
  type OpName,
  opNames,
} from '@open-claw/core/internal';
import { compareBounded } from '../compare.js';
import { benchFor, type MadeInputs, type Recipe, recipes } from './recipes.js';
import { ExamFailure, type ExamSession } from './session.js';

export interface GraphOutcome {
  readonly maxError: number;
  /** Dtypes that the device refuses by name. */
  readonly refused: readonly DType[];
  /** Dtypes that ran and agreed. */
  readonly passed: readonly DType[];
}

interface Case extends MadeInputs {
  readonly dtype: DType;
  readonly outputs: ReturnType<Recipe>;
}

/** The recipe of an operation in each dtype that its rule allows. */
function casesOf(op: OpName): readonly Case[] {
  return dtypes.flatMap((dtype, seed) => {
    if (dtype === 'string') return [];
    const made = benchFor(dtype, seed + 1);
    try {
      const outputs = recipes[op](made.bench);
      return outputs.length === 0 ? [] : [{ ...made, dtype, outputs }];
    } catch (error) {
      // The op table does not have this dtype for the operation.
      if (isFailure(error) && /^OC-(DTYPE|SHAPE)/.test(error.code)) return [];
      throw error;
    }
  });
}

export const graphTestNames: readonly OpName[] = opNames;

/** Throws an ExamFailure that lists every dtype with a difference. */
export async function graphTest(session: ExamSession, op: OpName): Promise<GraphOutcome> {
  const cases = casesOf(op);
  return session.withDevice(async (device) => {
    try {
      // One program for all dtypes is one call of the compiler.
      const maxError = await runCases(session, device, cases);
      return { maxError, refused: [], passed: cases.map(({ dtype }) => dtype) };
    } catch (error) {
      const apart = await runApart(session, device, cases);
      // A wrong number counts, though each alone, or at another time, has the right one.
      if (error instanceof ExamFailure) {
        throw new ExamFailure(`in one program with the other types: ${firstLine(error)}`);
      }
      return apart;
    }
  });
}

async function runApart(
  session: ExamSession,
  device: Device,
  cases: readonly Case[],
): Promise<GraphOutcome> {
  const refused: DType[] = [];
  const passed: DType[] = [];
  const wrong: string[] = [];
  let maxError = 0;
  for (const each of cases) {
    try {
      maxError = Math.max(maxError, await runCases(session, device, [each]));
      passed.push(each.dtype);
    } catch (error) {
      if (isFailure(error) && error.kind === 'refused') refused.push(each.dtype);
      else wrong.push(`${each.dtype}: ${error instanceof Error ? firstLine(error) : error}`);
    }
  }
  if (wrong.length > 0) throw new ExamFailure(wrong.join('; '));
  return { maxError, refused, passed };
}

const firstLine = ({ message }: Error): string => (message.split('\n')[0] as string).slice(0, 300);

async function runCases(
  session: ExamSession,
  device: Device,
  cases: readonly Case[],
): Promise<number> {
  const nodes = cases.flatMap((each) => each.nodes);
  const tensors = cases.flatMap((each) => each.tensors);
  const outputs = cases.flatMap((each) => each.outputs);
  if (outputs.length === 0) return 0;
  const graph = graphOf(nodes, outputs);
  const actual = await session.runGraph(device, graph, tensors);
  let maxError = 0;
  for (const [i, expected] of interpretWithBounds(graph, tensors).entries()) {
    const difference = compareBounded(actual[i], expected);
    if (difference.reason !== '') throw new ExamFailure(`output ${i}: ${difference.reason}`);
    maxError = Math.max(maxError, difference.maxError);
  }
  return maxError;
}
