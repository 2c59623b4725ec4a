/**
 * The limits of a device, measured by its own kernels in the same run: multiply-adds per second
 * and bytes per second.
 */
import { compile, type HostTensor, hostTensor, load, type OpenDevice } from '@open-claw/core';
import {
  expressions,
  graphOf,
  input,
  matmul,
  type Node,
  negate,
  sum,
} from '@open-claw/core/internal';
import { measuredRuns, type Statement, type TileProgram, timeProgram } from './tile-run.js';
import { measureUnits, type UnitPeak } from './unit-peak.js';

export interface Peaks {
  /** Floating-point operations per second, a multiply-add counting two; f32. */
  readonly flops: number;
  readonly flopsName: string;
  /** Bytes read and written per second by a kernel over arrays of this working set. */
  readonly bandwidth: number;
  readonly bandwidthName: string;
  /** Bytes read per second by a kernel that only reads an array of this working set. */
  readonly readBandwidth: number;
  /** What each matrix unit reaches; empty where there is none. */
  readonly units: readonly UnitPeak[];
}

/** Chains of multiply-adds that hide the latency of one on every CPU of today. */
const chains = 12;

const { variable } = expressions;

/**
 * Every task runs `rounds` multiply-adds on each of its chains: in registers only, or with a
 * factor that is read from memory, each element once.
 */
export function peakProgram(target: OpenDevice['target'], reads: boolean): TileProgram {
  const lanes = Math.max(target.vectorBytes / 4, 1);
  const shape = lanes === 1 ? [] : [lanes];
  const strides = lanes === 1 ? [] : [1];
  const type = { dtype: 'f32' as const, shape };
  const factor = { buffer: 'a', address: 0, strides };
  const value = (id: number, operation: unknown): Statement =>
    ({ kind: 'let', id, type, operation }) as Statement;
  const before: Statement[] = [
    value(0, { kind: 'load', access: factor }),
    value(1, { kind: 'load', access: { ...factor, address: lanes } }),
  ];
  const own = 2;
  const inside: Statement[] = [];
  const after: Statement[] = [];
  const wide = chains * lanes;
  const round = expressions.add(
    expressions.multiply(variable('g'), variable('rounds')),
    variable('k'),
  );
  for (let i = 0; i < chains; i++) {
    const free = own + chains + 4 * i;
    const [read, next, last, loaded] = [free, free + 1, free + 2, free + 3];
    // Of two chains that begin alike a compiler makes one.
    const start = { ...factor, address: (own + i) * lanes };
    before.push(value(own + i, { kind: 'load', access: start }));
    before.push({ kind: 'variable', id: i, type, initial: own + i });
    inside.push(value(read, { kind: 'read', variable: i }));
    if (reads) {
      const from = expressions.add(expressions.multiply(round, wide), i * lanes);
      inside.push(value(loaded, { kind: 'load', access: { buffer: 'x', address: from, strides } }));
    }
    const factors = reads ? { a: loaded, b: 0, c: read } : { a: read, b: 0, c: 1 };
    inside.push(value(next, { kind: 'multiplyAdd', ...factors }));
    inside.push({ kind: 'assign', variable: i, value: next });
    after.push(value(last, { kind: 'read', variable: i }));
    const address = expressions.add(expressions.multiply(variable('g'), wide), i * lanes);
    after.push({ kind: 'store', access: { buffer: 'c', address, strides }, value: last });
  }
  const loop: Statement = {
    kind: 'for',
    index: 'k',
    start: 0,
    end: variable('rounds'),
    step: 1,
    body: inside,
  };
  return {
    contract: 1,
    name: 'peak',
    target: target.id,
    lanes,
    group: 1,
    buffers: [
      { name: 'a', memory: 'f32', access: 'read' },
      { name: 'c', memory: 'f32', access: 'write' },
      ...(reads ? [{ name: 'x', memory: 'f32' as const, access: 'read' as const }] : []),
    ],
    sizes: ['rounds'],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: 'g', extent: target.cores }],
    body: [...before, loop, ...after],
    mayFail: false,
  };
}

/** Runs that program; `bytes` is what its array holds where it reads one. Gives milliseconds. */
async function timeRounds(opened: OpenDevice, rounds: number, bytes: number): Promise<number> {
  const { target } = opened;
  const program = peakProgram(target, bytes > 0);
  const { lanes } = program;
  // x · 1 + 0 stays as it is: no run meets infinities or denormals.
  const factors = new Float32Array(lanes * (2 + chains)).fill(1, 0, lanes);
  const given = new Map([['a', new Uint8Array(factors.buffer)]]);
  // Pages that were never written may all be the same page of zeros.
  if (bytes > 0) given.set('x', new Uint8Array(bytes).fill(1));
  return timeProgram(opened, program, given, {
    outputBytes: target.cores * chains * lanes * 4,
    size: rounds,
  });
}

async function measureFlops(opened: OpenDevice): Promise<readonly [number, string]> {
  const { target } = opened;
  if (target.execution !== 'vector') return measureProduct(opened);
  const rounds = 2_000_000;
  const lanes = Math.max(target.vectorBytes / 4, 1);
  const ms = await timeRounds(opened, rounds, 0);
  return [((2 * target.cores * chains * lanes * rounds) / ms) * 1000, peakName];
}

const peakName = 'f32 multiply-add in registers';

/** Bytes per second of a kernel that reads about `bytes` once. */
async function measureRead(opened: OpenDevice, bytes: number): Promise<number> {
  const { target } = opened;
  if (target.execution !== 'vector') {
    const count = Math.max(Math.floor(bytes / 4), 1024);
    const x = input('x', { dtype: 'f32', shape: [count] });
    const values = hostTensor('f32', [count], new Float32Array(count).fill(1));
    return ((count * 4) / (await measureGraph(opened, [x], sum(x), [values]))) * 1000;
  }
  const perRound = target.cores * chains * Math.max(target.vectorBytes, 4);
  const rounds = Math.max(Math.floor(bytes / perRound), 1);
  return ((rounds * perRound) / (await timeRounds(opened, rounds, rounds * perRound))) * 1000;
}

/** Where no kernel can be written by hand: a large product of matrices. */
async function measureProduct(opened: OpenDevice): Promise<readonly [number, string]> {
  const n = 2048;
  const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape: [n, n] }));
  const ones = hostTensor('f32', [n, n], new Float32Array(n * n).fill(1));
  const ms = await measureGraph(opened, [a, b] as Node[], matmul(a as Node, b as Node), [
    ones,
    ones,
  ]);
  return [((2 * n ** 3) / ms) * 1000, `f32 product of ${n} × ${n} matrices`];
}

/** Time of a graph's kernels, without the transfers. */
async function measureGraph(
  opened: OpenDevice,
  inputs: readonly Node[],
  output: Node,
  values: readonly HostTensor[],
): Promise<number> {
  const program = compile(graphOf(inputs, [output]), opened.target, opened.plugin.language);
  const executable = await load(program, opened, { now: () => performance.now() });
  try {
    let into: readonly HostTensor[] | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i <= measuredRuns; i++) {
      // New memory would be touched for the first time inside the kernel.
      const { steps, outputs } = await executable.profile(
        values,
        into === undefined ? {} : { into },
      );
      into = outputs;
      const ms = steps.reduce((total, step) => total + step.milliseconds, 0);
      if (i > 0) least = Math.min(least, ms);
    }
    return least;
  } finally {
    await executable.dispose();
  }
}

/** A kernel that reads and writes arrays of together `bytes`, so that it meets the same caches. */
async function measureBandwidth(opened: OpenDevice, bytes: number): Promise<number> {
  const count = Math.max(Math.floor(bytes / 8), 1024);
  const x = input('x', { dtype: 'f32', shape: [count] });
  const values = hostTensor('f32', [count], new Float32Array(count).fill(1));
  const ms = await measureGraph(opened, [x], negate(x), [values]);
  return ((count * 8) / ms) * 1000;
}

const leastSet = 2 ** 23;
const mostSet = 2 ** 28;

/** Measures the limits for a working set of `bytes`. */
export async function measurePeaks(opened: OpenDevice, bytes: number): Promise<Peaks> {
  const set = Math.min(Math.max(bytes, leastSet), mostSet, opened.target.maxBufferBytes / 4);
  const [flops, flopsName] = await measureFlops(opened);
  const bandwidth = await measureBandwidth(opened, set);
  const size = `${(set / 2 ** 20).toFixed(0)} MiB`;
  const readBandwidth = await measureRead(opened, set);
  return {
    flops,
    flopsName,
    bandwidth,
    bandwidthName: `reading and writing ${size}`,
    readBandwidth,
    units: await measureUnits(opened),
  };
}
