/** One case: every contestant in a process of its own, taking turns. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from '@open-claw/openclaw/bench';
import { WorkerProcess } from './worker-process.mjs';

/** @typedef {import('./contestants.mjs').Contestant} Contestant */
/** @typedef {import('./cases.mjs').Case} Case */

/**
 * @typedef {object} Result
 * @property {string} case
 * @property {string} contestant
 * @property {number} threads
 * @property {string} [problem] why there are no numbers
 * @property {number} [setupMs]
 * @property {number} [firstMs]
 * @property {number} [medianMs]
 * @property {number} [minMs]
 * @property {number} [p90Ms]
 * @property {number} [runs]
 * @property {number} [rate]
 * @property {string} [unit]
 * @property {number} [limit] in the same unit, measured between the rounds
 * @property {string} [limitName]
 * @property {number} [share]
 * @property {number} [maxError]
 * @property {boolean} [right]
 * @property {Record<string, number>} [ratios] time of a peer over our own, by peer
 */

/** A round lasts this long, or one call where that is longer. */
const roundMs = 60;
/** Threads of an engine that has just ended its round may spin for a while. */
const restMs = 300;

/**
 * @typedef {object} Plan
 * @property {readonly Contestant[]} contestants
 * @property {number} threads
 * @property {number} rounds
 * @property {string} folder for model files
 * @property {string} peers
 * @property {(text: string) => void} note
 */

/** @param {Case} item @param {Plan} plan @returns {Promise<Result[]>} */
export async function measureCase(item, plan) {
  const { contestants, threads, rounds, folder, peers, note } = plan;
  const modelPath = join(folder, `${item.name}.onnx`);
  writeFileSync(modelPath, item.model());
  const peerPath =
    item.peerModel === undefined ? modelPath : join(folder, `${item.name}-peer.onnx`);
  if (item.peerModel !== undefined) writeFileSync(peerPath, item.peerModel());
  const expected = item.reference(item.inputs());
  /**
   * @type {{ contestant: Contestant, worker: WorkerProcess, result: Result, times: number[] }[]}
   */
  const running = [];
  /** @type {Result[]} */
  const results = [];
  /** @param {Result} result @param {unknown} error */
  const fail = (result, error) => {
    result.problem = error instanceof Error ? error.message : String(error);
    note(`${result.contestant}: ${result.problem}`);
  };
  try {
    for (const contestant of contestants) {
      if (threads > contestant.mostThreads) continue;
      if (contestant.only?.includes(item.name) === false) continue;
      /** @type {Result} */
      const result = { case: item.name, contestant: contestant.name, threads };
      results.push(result);
      note(`${contestant.name}: first call`);
      const worker = new WorkerProcess(contestant);
      const { engine, device, values } = contestant;
      const path = engine === 'openclaw' ? modelPath : peerPath;
      try {
        const setting = { modelPath: path, threads, peers, values };
        const details = { engine, device, name: item.name, ...setting };
        const { setupMs, firstMs } = await worker.ask('prepare', details);
        Object.assign(result, { setupMs, firstMs }, await worker.ask('check', expected));
        // A second call, which is not measured: code that was just made is slower.
        await worker.ask('round', { ms: 0 });
        running.push({ contestant, worker, result, times: [] });
      } catch (error) {
        fail(result, error);
        worker.end();
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const each of running) {
        if (each.result.problem !== undefined) continue;
        note(`${each.contestant.name}: round ${round + 1} of ${rounds}`);
        await new Promise((resume) => setTimeout(resume, restMs));
        try {
          // Not measured: after the rest, caches and clocks are another's.
          await each.worker.ask('round', { ms: 0 });
          const { times } = await each.worker.ask('round', { ms: roundMs });
          each.times.push(...times);
        } catch (error) {
          fail(each.result, error);
        }
      }
    }
    for (const { contestant, worker, result, times } of running) {
      if (times.length === 0 || result.problem !== undefined) continue;
      Object.assign(result, statistics(times, item));
      if (contestant.engine !== 'openclaw' || item.limit === 'none') continue;
      note(`${contestant.name}: limits`);
      const { limits } = await worker.ask('limits', { bytes: item.bytes ?? 0 });
      Object.assign(result, shareOf(item, limits, result));
    }
  } finally {
    for (const { worker } of running) worker.end();
  }
  addRatios(results, contestants);
  return results;
}

/** @param {readonly number[]} times @param {Case} item */
function statistics(times, { flops, bytes, limit }) {
  const sorted = [...times].sort((a, b) => a - b);
  const medianMs = quantile(sorted, 0.5);
  const isCompute = limit === 'flops';
  const work = (isCompute ? flops : bytes) ?? 0;
  return {
    runs: times.length,
    medianMs,
    minMs: sorted[0] ?? 0,
    p90Ms: quantile(sorted, 0.9),
    ...(work === 0 ? {} : { rate: work / medianMs / 1e6, unit: isCompute ? 'GFLOP/s' : 'GB/s' }),
  };
}

/**
 * @param {Case} item
 * @param {import('@open-claw/openclaw/bench').Peaks} limits
 * @param {Result} result
 */
function shareOf({ limit: kind, operands }, limits, { rate = 0 }) {
  const unit = limits.units.find(
    ({ left, right }) => left === operands?.[0] && right === operands[1],
  );
  const [perSecond, limitName] =
    kind === 'flops'
      ? [unit?.flops ?? limits.flops, unit === undefined ? limits.flopsName : unit.name]
      : kind === 'read'
        ? [limits.readBandwidth, 'reading']
        : [limits.bandwidth, limits.bandwidthName];
  const limit = perSecond / 1e9;
  return { limit, limitName, share: rate / limit };
}

/**
 * Like for like: engines that take and give arrays of the host are compared with our run on arrays,
 * those whose values stay with them with our run on tensors.
 * @param {readonly Result[]} results
 * @param {readonly Contestant[]} contestants
 */
function addRatios(results, contestants) {
  const byName = new Map(contestants.map((contestant) => [contestant.name, contestant]));
  for (const own of results) {
    const { engine, values } = /** @type {Contestant} */ (byName.get(own.contestant));
    const { medianMs } = own;
    if (engine !== 'openclaw' || medianMs === undefined) continue;
    const peers = results.filter(({ contestant: name }) => {
      const other = /** @type {Contestant} */ (byName.get(name));
      return other.engine !== engine && [values, 'both'].includes(other.values);
    });
    own.ratios = Object.fromEntries(
      peers.flatMap((other) =>
        other.medianMs === undefined ? [] : [[other.contestant, other.medianMs / medianMs]],
      ),
    );
  }
}

/**
 * The way from nothing to the first result, several times in fresh processes: load, compile with
 * a warm cache, run once.
 * @param {Case} item
 * @param {Plan} plan
 * @returns {Promise<Result[]>}
 */
export async function measureFirst(item, plan) {
  const { contestants, threads, folder, peers, rounds, note } = plan;
  const modelPath = join(folder, `${item.name}.onnx`);
  writeFileSync(modelPath, item.model());
  /** @type {Map<Contestant, number[]>} */
  const times = new Map();
  const results = contestants
    .filter(({ mostThreads, values }) => threads <= mostThreads && values === 'host')
    .map((contestant) => {
      times.set(contestant, []);
      /** @type {Result} */
      const result = { case: `${item.name}-first`, contestant: contestant.name, threads };
      return { contestant, result };
    });
  // The first turn fills the caches of compiled code and of the file system.
  for (let round = 0; round <= Math.min(rounds, 5); round++) {
    for (const { contestant, result } of results) {
      if (result.problem !== undefined) continue;
      note(`${contestant.name}: process ${round + 1}`);
      const worker = new WorkerProcess(contestant);
      try {
        const { engine, device } = contestant;
        const details = { engine, device, name: item.name, modelPath, threads, peers };
        const { setupMs, firstMs } = await worker.ask('prepare', details);
        if (round > 0) times.get(contestant)?.push(setupMs + firstMs);
      } catch (error) {
        result.problem = error instanceof Error ? error.message : String(error);
      } finally {
        worker.end();
      }
    }
  }
  for (const { contestant, result } of results) {
    const measured = times.get(contestant) ?? [];
    if (measured.length === 0) continue;
    const none = /** @type {const} */ ('none');
    Object.assign(result, statistics(measured, { ...item, limit: none, bytes: 0 }));
  }
  const all = results.map(({ result }) => result);
  addRatios(all, contestants);
  return all;
}
