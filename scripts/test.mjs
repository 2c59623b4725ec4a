/**
 * The whole test: types, lint, gates, then vitest. Ends with `N passed, N failed, N skipped`,
 * where each gate counts as one test. Arguments go to vitest.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from './lib.mjs';

const bin = (/** @type {string} */ name) => [
  process.execPath,
  join(repository, 'node_modules', name),
];

/** @type {[string, string[]][]} */
const gates = [
  ['build', [...bin('typescript/bin/tsc'), '-b']],
  ['roll', [process.execPath, 'scripts/roll.mjs']],
  ['types of tests', [...bin('typescript/bin/tsc'), '-p', 'tsconfig.test.json']],
  ['lint and format', [...bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings']],
  ...['rooms', 'budgets', 'docs', 'words', 'lock'].map((name) => {
    return /** @type {[string, string[]]} */ ([
      name,
      [process.execPath, `scripts/check-${name}.mjs`],
    ]);
  }),
];

/** @param {string[]} command @returns {boolean} */
function succeeds([program, ...args]) {
  const run = spawnSync(/** @type {string} */ (program), args, {
    cwd: repository,
    stdio: 'inherit',
  });
  return run.status === 0;
}

const count = { passed: 0, failed: 0, skipped: 0 };

for (const [name, command] of gates) {
  const passed = succeeds(command);
  console.log(`${passed ? 'pass' : 'FAIL'}  ${name}`);
  count[passed ? 'passed' : 'failed'] += 1;
}

const folder = mkdtempSync(join(tmpdir(), 'claw-test-'));
const report = join(folder, 'report.json');
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
const vitest = [...bin('vitest/vitest.mjs'), 'run', ...reporters, ...process.argv.slice(2)];
const green = succeeds(vitest);
const failedBefore = count.failed;
if (existsSync(report)) {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  for (const file of testResults) {
    // A file that cannot be imported has no assertions and is one failure of its own.
    const broken = file.status === 'failed' && file.assertionResults.length === 0;
    if (broken) count.failed += 1;
    for (const { status } of file.assertionResults) {
      if (status === 'passed') count.passed += 1;
      else if (status === 'failed') count.failed += 1;
      else count.skipped += 1;
    }
  }
}
// Vitest can also fail outside of every test: an unhandled rejection, a lost worker.
if (!green && count.failed === failedBefore) count.failed += 1;
rmSync(folder, { recursive: true, force: true });

console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;
