/**
 * `npm run bench`: fixed cases on every device that is found, in the same run with the engines
 * that are installed in a folder of peers. Usage: node bench/main.mjs [--peers DIR] [--filter RE]
 * [--device ID]… [--threads N]… [--runs N] [--json FILE] [--svg FILE]   (after `npx tsc -b`)
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { quantile } from '@open-claw/openclaw/bench';
import { cases } from './cases.mjs';
import { chart } from './chart.mjs';
import { ownContestants, peerContestants } from './contestants.mjs';
import { measureCase, measureFirst } from './measure.mjs';
import { matmulModel } from './models.mjs';
import { facts, rowText } from './report.mjs';

/** @typedef {import('./measure.mjs').Result} Result */

const { values: given } = parseArgs({
  options: {
    peers: { type: 'string' },
    filter: { type: 'string' },
    device: { type: 'string', multiple: true },
    threads: { type: 'string', multiple: true },
    runs: { type: 'string', default: '9' },
    json: { type: 'string' },
    svg: { type: 'string' },
  },
});
const listed = (/** @type {string[] | undefined} */ all) =>
  (all ?? []).flatMap((x) => x.split(','));
const pattern = new RegExp(given.filter ?? '');
const rounds = Number(given.runs);
const both = [...new Set([1, Math.min(2, availableParallelism())])];
const threadCounts = given.threads === undefined ? both : listed(given.threads).map(Number);
const peers = given.peers === undefined ? '' : resolve(given.peers);
if (!(rounds >= 1) || !threadCounts.every((count) => count >= 1)) {
  throw new Error('--runs and --threads take whole numbers of at least 1');
}

const contestants = [
  ...(await ownContestants(listed(given.device))),
  ...(peers === '' ? [] : peerContestants(peers)),
];
const folder = mkdtempSync(join(tmpdir(), 'claw-bench-'));
const note = (/** @type {string} */ text) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
/** @type {Result[]} */
const results = [];
const take = (/** @type {readonly Result[]} */ some) => {
  note('');
  results.push(...some);
  for (const result of some) console.log(rowText(result));
};

/** One row of each device is enough, and a plain loop starts as Node does. */
const hasStart = (
  /** @type {import('./contestants.mjs').Contestant} */ { device, engine, values },
) => device !== 'template' && engine !== 'javascript' && (device === '' || values === 'host');

/** @returns {Result[]} */
function measureStart() {
  const script = fileURLToPath(new URL('./start.mjs', import.meta.url));
  const model = join(folder, 'start.onnx');
  writeFileSync(model, matmulModel(8));
  const base = { name: 'node', engine: 'node', flags: [], device: '' };
  const all = [base, ...contestants.filter(hasStart)];
  const rows = all.map(({ name, engine, flags, device }) => {
    /** @type {Result} */
    const result = { case: 'start', contestant: name, threads: 1 };
    const env = { ...process.env, ...(device === '' ? {} : { CLAW_DEVICE: device }) };
    const args = [...flags, script, engine, peers, model];
    return { result, env, args, times: /** @type {number[]} */ ([]), engine };
  });
  for (let round = 0; round <= Math.max(rounds, 7); round++) {
    for (const { result, env, args, times } of rows) {
      const started = performance.now();
      const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
      if (round > 0) times.push(performance.now() - started);
      if (status !== 0) result.problem = stderr.trim().split('\n').at(-1) || `status ${status}`;
    }
  }
  for (const { result, times } of rows) {
    if (result.problem !== undefined) continue;
    const sorted = times.sort((a, b) => a - b);
    const [medianMs, p90Ms] = [quantile(sorted, 0.5), quantile(sorted, 0.9)];
    Object.assign(result, { runs: times.length, medianMs, minMs: sorted[0], p90Ms });
  }
  for (const { result, engine } of rows) {
    const { medianMs } = result;
    if (engine !== 'openclaw' || medianMs === undefined) continue;
    result.ratios = Object.fromEntries(
      rows.flatMap(({ result: other, engine: of }) =>
        of === 'openclaw' || other.medianMs === undefined
          ? []
          : [[other.contestant, other.medianMs / medianMs]],
      ),
    );
  }
  return rows.map(({ result }) => result);
}

try {
  for (const threads of threadCounts) {
    const plan = { contestants, threads, rounds, folder, peers, note };
    for (const item of cases) {
      if (pattern.test(item.name)) take(await measureCase(item, plan));
      const withFirst = item.name === 'transformer-6x512' && pattern.test(`${item.name}-first`);
      if (withFirst) take(await measureFirst(item, plan));
    }
  }
  if (pattern.test('start')) take(measureStart());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const whole = { schema: 1, command: 'bench', ...facts(contestants), results };
if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify(whole, undefined, 2)}\n`);
if (given.svg !== undefined) writeFileSync(given.svg, chart(results, contestants));
process.exit(results.some(({ right }) => right === false) ? 1 : 0);
