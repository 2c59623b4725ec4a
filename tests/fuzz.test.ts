/**
 * Random programs on every device that is there, against the interpreter. CLAW_FUZZ=COUNT@SEED says
 * how many (200 where absent) and from which seed.
 */
import { closeDevices, compile, listDevices, load, openDevice, use } from '@open-claw/core';
import * as native from '@open-claw/device-native';
import * as template from '@open-claw/device-template';
import * as wasm from '@open-claw/device-wasm';
import { afterAll, describe, expect, test } from 'vitest';
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

afterAll(closeDevices);

describe.each(found)('on %s', (id) => {
  test(`${count} random programs`, { timeout: count * 2000 }, async () => {
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
