/** Many random programs on every device: `npm run fuzz`, or `npm run fuzz -- COUNT@SEED`. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const vitest = dirname(createRequire(import.meta.url).resolve('vitest/package.json'));
const { status } = spawnSync(
  process.execPath,
  [join(vitest, 'vitest.mjs'), 'run', 'tests/fuzz.test.ts'],
  { stdio: 'inherit', env: { ...process.env, CLAW_FUZZ: process.argv[2] ?? '10000' } },
);
process.exitCode = status ?? 1;
