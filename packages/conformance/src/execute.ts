/** Runs one case on an open device, or by the interpreter, and counts what the host computed. */
import { compile, type HostTensor, load, type OpenDevice, type Program } from '@open-claw/core';
import { type Graph, interpret, refused } from '@open-claw/core/internal';
import { type Execute, runCase, type SuiteCase } from '@open-claw/formats';
import { type CaseReport, caseReport } from './report.js';

type Procedure = Program['main'];

/** Nodes that the host computes, in the main part and in all bodies. */
export function hostNodeCount(procedure: Procedure): number {
  let count = 0;
  for (const step of procedure.steps) {
    if (step.kind === 'host') count += step.nodes.length;
    if (step.kind !== 'region') continue;
    const bodies = step.op === 'if' ? [step.then, step.else] : [step.body];
    for (const body of bodies) count += hostNodeCount(body);
  }
  return count;
}

/** Compiles and runs a graph once. Refuses programs that would compute tensors elsewhere. */
async function runOn(
  opened: OpenDevice,
  graph: Graph,
  inputs: readonly HostTensor[],
  timeLimit: number,
): Promise<{ readonly outputs: readonly HostTensor[]; readonly hostSteps: number }> {
  const program = compile(graph, opened.target, opened.plugin.language);
  const [elsewhere] = program.fallbacks;
  if (elsewhere !== undefined) throw refused(elsewhere.op, `falls back: ${elsewhere.reason}`);
  const executable = await load(program, opened);
  try {
    const outputs = await executable.run(inputs, { timeLimit });
    return { outputs, hostSteps: hostNodeCount(program.main) };
  } finally {
    await executable.dispose();
  }
}

/** One case, whatever happens in it; `opened` undefined means the interpreter. */
export async function conformCase(
  each: SuiteCase,
  opened: OpenDevice | undefined,
  timeLimit: number,
): Promise<CaseReport> {
  let hostSteps = 0;
  const execute: Execute = async (graph, inputs, check) => {
    if (opened === undefined) return interpret(graph, inputs, { check });
    try {
      const done = await runOn(opened, graph, inputs, timeLimit);
      hostSteps = Math.max(hostSteps, done.hostSteps);
      return done.outputs;
    } catch (error) {
      // A device that stopped at the limit is a time-out, not a crash.
      check();
      throw error;
    }
  };
  return caseReport(await runCase(each, execute, { timeLimit }), hostSteps);
}
