/** How programs end on a device: errors by name, limits, and nothing stale. */
import { compile, type HostTensor, load } from '@open-claw/core';
import {
  add,
  divide,
  type Graph,
  gather,
  graphOf,
  hostTensor,
  input,
  isFailure,
  loop,
  matmul,
  multiply,
  type Node,
  sin,
} from '@open-claw/core/internal';
import type { ContractTest } from './contract-tests.js';
import { type ExamSession, ensure, expectCode } from './session.js';

const vector = (values: readonly number[]): HostTensor =>
  hostTensor('f32', [values.length], values);
const longs = (values: readonly number[]): HostTensor =>
  hostTensor('i64', [values.length], values.map(BigInt));

function lookup(): Graph {
  const data = input('data', { dtype: 'f32', shape: [4] });
  const indices = input('indices', { dtype: 'i64', shape: [2] });
  return graphOf([data, indices], [gather(data, indices, 0)]);
}

/** Many small steps, each of which may be stopped. */
function longLoop(trip: number): Graph {
  const x = input('x', { dtype: 'f32', shape: [256, 256] });
  const results = loop({
    trip,
    carried: [x],
    body: ([value]) => ({ carried: [sin(add(value as Node, 1))] }),
  });
  return graphOf([x], results);
}

const square = (): HostTensor => hostTensor('f32', [256, 256], new Float32Array(65536));

async function twice(session: ExamSession, graph: Graph, bad: HostTensor[], good: HostTensor[]) {
  return session.withDevice(async (device) => {
    const { plugin, found } = session;
    const program = compile(graph, found.target, plugin.language);
    const executable = await load(program, session.asOpen(device));
    const stale = hostTensor('f32', [2], [5, 6]);
    let caught: unknown;
    try {
      await executable.run(bad, { into: [stale] });
    } catch (error) {
      caught = error;
    }
    const [result] = await executable.run(good);
    await executable.dispose();
    return { caught, stale, result };
  });
}

export const runTests: Readonly<Record<string, ContractTest>> = {
  'an index out of range fails by the name of the operator, and the next run is sound': async (
    session,
  ) => {
    const data = vector([1, 2, 3, 4]);
    const bad = [data, longs([0, 9])];
    const done = await twice(session, lookup(), bad, [data, longs([3, 1])]);
    const { caught, stale, result } = done;
    ensure(isFailure(caught) && caught.code === 'OC-RUN-03', `the run gave ${String(caught)}`);
    ensure(isFailure(caught) && caught.what.includes('gather'), 'the operator has no name');
    ensure(stale.data[0] === 5, 'a failed run wrote into the given array');
    ensure(String(result?.data) === '4,2', `the next run gave ${result?.data}`);
  },

  'an integer divided by zero fails by name': async (session) => {
    const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'i32', shape: [3] }));
    const graph = graphOf([a, b] as Node[], [divide(a as Node, b as Node)]);
    const of = (values: readonly number[]): HostTensor => hostTensor('i32', [3], values);
    const { caught } = await twice(
      session,
      graph,
      [of([6, 7, 8]), of([1, 0, 2])],
      [of([6, 7, 8]), of([1, 7, 2])],
    ).catch((error: unknown) => ({ caught: error }));
    ensure(isFailure(caught) && caught.code === 'OC-RUN-01', `the run gave ${String(caught)}`);
  },

  'a time limit stops a long program': (session) =>
    session.withDevice(async (device) => {
      const work = session.runGraph(device, longLoop(2_000_000), [square()], { timeLimit: 50 });
      await expectCode(work, ['OC-DEVICE-04'], 'run');
    }),

  'an abort stops a long program, while timers go on': (session) =>
    session.withDevice(async (device) => {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort('enough'), 50);
      const { signal } = controller;
      const work = session.runGraph(device, longLoop(2_000_000), [square()], { signal });
      await expectCode(work, ['OC-DEVICE-05'], 'run').finally(() => clearTimeout(timer));
    }),

  'many runs keep memory flat and answers equal': (session) =>
    session.withDevice(async (device) => {
      const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape: [33, 33] }));
      const product = matmul(a as Node, b as Node);
      const graph = graphOf([a, b] as Node[], [multiply(product, 0.5)]);
      const program = compile(graph, session.found.target, session.plugin.language);
      const executable = await load(program, session.asOpen(device));
      const values = Float32Array.from({ length: 33 * 33 }, (_, i) => (i % 7) - 3);
      const x = hostTensor('f32', [33, 33], values);
      const [first] = await executable.run([x, x]);
      const { peakBytes } = executable;
      for (let i = 0; i < 20; i++) {
        const [again] = await executable.run([x, x]);
        ensure(String(again?.data) === String(first?.data), `run ${i} differs`);
      }
      ensure(executable.peakBytes === peakBytes, 'memory grew');
      await executable.dispose();
    }),
};
