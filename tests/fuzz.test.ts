/**
 * Random programs on every device that is there, against the interpreter. CLAW_FUZZ=COUNT@SEED says
 * how many (200 where absent) and from which seed. A tenth of them also runs on the narrower rows
 * of this CPU, and as if it had eight cores.
 */
import { closeDevices, compile, listDevices, load, openDevice, use } from '@open-claw/core';
import * as native from '@open-claw/device-native';
import * as template from '@open-claw/device-template';
import * as wasm from '@open-claw/device-wasm';
import { afterAll, describe, expect, test } from 'vitest';
import { manyCores } from './devices.js';
import { fuzz, type RunGraph } from './fuzz.js';

const [count, first = 0] = (process.env['CLAW_FUZZ'] ?? '200').split('@').map(Number) as [
  number,
  number?,
];

use(template.plugin);
use(native.plugin);
use(wasm.plugin);

const found = (await listDevices()).flatMap((listing) =>
  'found' in listing ? [listing.found.id] : [],
);

/** Rows that this CPU has beside the one it takes by default. */
async function otherRows(): Promise<readonly string[]> {
  const opens = async (id: string): Promise<boolean> => {
    try {
      await openDevice(id);
      return true;
    } catch {
      return false;
    }
  };
  const ids: string[] = [];
  for (const { name } of native.nativeRows) {
    const id = `native/${name}`;
    if (found.includes('native') && (await opens(id))) ids.push(id);
  }
  return ids.slice(1);
}

const tenth = Math.ceil(count / 10);
const others = await otherRows();
if (found.includes('native')) use(manyCores('native-8-cores', 8));
const cases = [
  ...found.map((id) => [id, count] as const),
  ...others.map((id) => [id, tenth] as const),
  ...(found.includes('native') ? [['native-8-cores', tenth] as const] : []),
];

afterAll(closeDevices);

describe.each(cases)('on %s', (id, count) => {
  test(`${count} random programs`, { timeout: 60_000 + count * 2000 }, async () => {
    const opened = await openDevice(id);
    const run: RunGraph = async (graph, inputs) => {
      const program = compile(graph, opened.target, opened.plugin.language);
      const executable = await load(program, opened);
      try {
        return await executable.run(inputs);
      } finally {
        await executable.dispose();
      }
    };
    const report = await fuzz({ run, count, first });
    expect(report.failures[0]?.text).toBeUndefined();
    // Most programs must run: refusing is allowed, but not everything.
    expect(report.passed).toBeGreaterThan(count / 3);
  });
});
