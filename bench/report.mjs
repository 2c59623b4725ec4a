/** A result as one line of text, and the facts of a run. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

/** @param {number} ms */
const timeText = (ms) => {
  const [value, unit] = ms >= 1000 ? [ms / 1000, 's'] : ms >= 0.1 ? [ms, 'ms'] : [ms * 1000, 'µs'];
  return `${value.toPrecision(3)} ${unit}`;
};

/**
 * The largest distance from the result in float64.
 * @param {import('./measure.mjs').Result} result
 */
function errorText({ right, maxError }) {
  if (maxError === undefined) return '';
  return `${right === false ? 'WRONG by' : 'error'} ${maxError.toExponential(1)}`;
}

/** @param {import('./measure.mjs').Result} result */
export function rowText(result) {
  const { contestant, threads, problem, medianMs, minMs, p90Ms, rate, unit, limit, share } = result;
  const head = `${result.case.padEnd(24)} ${threads}T ${contestant.padEnd(20)}`;
  if (problem !== undefined || medianMs === undefined)
    return `${head} – ${problem ?? 'not measured'}`;
  const spread = `(${timeText(minMs ?? 0)} … ${timeText(p90Ms ?? 0)})`;
  const parts = [
    `${head}${timeText(medianMs).padStart(10)} ${spread.padEnd(24)}`,
    rate === undefined ? '' : `${rate.toPrecision(4)} ${unit}`,
    share === undefined ? '' : `${(share * 100).toFixed(0)} % of ${limit?.toPrecision(4)}`,
    ...Object.entries(result.ratios ?? {}).map(([peer, ratio]) => `${ratio.toFixed(2)} × ${peer}`),
    errorText(result),
  ];
  return parts.filter((part) => part !== '').join('  ');
}

/** @param {readonly import('./contestants.mjs').Contestant[]} contestants */
export function facts(contestants) {
  return {
    machine: `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length}`,
    node: process.version,
    commit: commitOf(),
    contestants: contestants.map(({ name, engine, version, evidence, flags, values }) => ({
      name,
      engine,
      version,
      evidence,
      flags,
      values,
    })),
  };
}

function commitOf() {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    }).trim();
  } catch {
    return null;
  }
}
