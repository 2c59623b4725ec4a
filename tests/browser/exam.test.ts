/**
 * The exam in a browser, for WebGPU and WebAssembly: built packages as they are, without a
 * bundler; and cases of the ONNX suite through the code of `scripts/conform-browser.mjs`. Skipped
 * without Chromium. CLAW_EXAM=full takes the exam whole; CLAW_TEST_ONNX names an archive of the
 * ONNX backend cases, which then runs whole.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SuiteReport } from '@open-claw/conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { openChromium } from '../../scripts/browser/chromium.mjs';
import { type Site, serve } from '../../scripts/browser/site.mjs';
import { conformInBrowser } from '../../scripts/browser/suite.mjs';
import { caseArchive } from './archive.js';

const browser = await openChromium();
const missing = typeof browser === 'string' ? browser : undefined;
const note = missing === undefined ? '' : ` (needs ${missing})`;
const whole = process.env['CLAW_EXAM'] === 'full';
const given = process.env['CLAW_TEST_ONNX'];
const folder = mkdtempSync(join(tmpdir(), 'suite-'));
const archive = given ?? join(folder, 'cases.tar.gz');
if (given === undefined) writeFileSync(archive, caseArchive());
if (missing === undefined && !whole) console.warn('skipped: graphs of the exam (CLAW_EXAM=full)');
if (missing === undefined && given === undefined) {
  console.warn('skipped: the ONNX suite in the browser (CLAW_TEST_ONNX names its archive)');
}

/** What opens a device, moves bytes and fails; a few graphs. */
const part = /^(contract|run)\/|^graph\/(add|matmul|gather|cast)$/;

let site: Site | undefined;

afterAll(async () => {
  if (typeof browser !== 'string') await browser.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

const wrongOf = ({ cases }: SuiteReport): readonly string[] =>
  cases
    .filter(({ outcome }) => ['failed', 'crashed', 'timeout'].includes(outcome))
    .map(({ name, outcome, reason }) => `${name}: ${outcome}: ${reason}`);

describe.skipIf(missing !== undefined)(`in a browser${note}`, () => {
  it.each(['wasm', 'webgpu'])(
    '%s passes the exam',
    async (family) => {
      if (typeof browser === 'string') return;
      site ??= await serve(archive);
      const page = await browser.newPage();
      await page.goto(site.address);
      const load = `import('/scripts/browser/page.mjs')`;
      const filter = whole ? '' : `, ${part}`;
      const text = `${load}.then((module) => module.exam('${family}'${filter}))`;
      const report: SuiteReport | string = await page.evaluate(text);
      await page.close();
      if (typeof report === 'string') throw new Error(report);
      expect(wrongOf(report)).toEqual([]);
      expect(report.passed).toBeGreaterThan(report.total * 0.9);
    },
    600_000,
  );

  it.each(['wasm', 'webgpu:0'])(
    '%s runs cases of the ONNX suite',
    async (device) => {
      if (typeof browser === 'string') return;
      site ??= await serve(archive);
      const { address } = site;
      const { facts, report } = await conformInBrowser({ browser, address, archive, device });
      expect(facts.device).toBe(device);
      if (given === undefined) {
        expect(report.cases.map(({ name, outcome }) => [name, outcome])).toEqual([
          ['node/test_right', 'passed'],
          ['node/test_wrong', 'failed'],
        ]);
      } else {
        expect(wrongOf(report)).toEqual([]);
        expect(report.passed).toBeGreaterThan(report.total * 0.9);
      }
    },
    1_200_000,
  );
});
