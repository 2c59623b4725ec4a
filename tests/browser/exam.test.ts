/**
 * The exam in a browser, for WebGPU and WebAssembly: built packages as they are, without a
 * bundler. Needs the package `playwright-core` and Chromium; without them it is skipped.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type Site, serve } from './server.js';

interface Page {
  goto(address: string): Promise<unknown>;
  evaluate<Result>(text: string): Promise<Result>;
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
interface Playwright {
  readonly chromium: {
    launchPersistentContext(folder: string, options: object): Promise<Browser>;
  };
}

interface Report {
  readonly found: { readonly id: string; readonly model?: string; readonly reason?: string };
  readonly total: number;
  readonly passed: number;
  readonly refused: number;
  readonly wrong: readonly string[];
}

const executable = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const built = existsSync(join(import.meta.dirname, '../../devices/webgpu/dist/index.js'));

async function openBrowser(): Promise<Browser | string> {
  if (executable === undefined) return 'Chromium';
  if (!built) return 'built packages (npm run prepare)';
  let playwright: Playwright;
  try {
    const path = createRequire(import.meta.url).resolve('playwright-core');
    playwright = (await import(pathToFileURL(path).href)).default;
  } catch {
    return 'the package playwright-core';
  }
  const options = {
    executablePath: executable,
    headless: true,
    chromiumSandbox: false,
    args: ['--enable-unsafe-webgpu', '--no-first-run', '--disable-background-networking'],
  };
  return playwright.chromium.launchPersistentContext(folder, options);
}

const folder = mkdtempSync(join(tmpdir(), 'browser-'));
const browser = await openBrowser();
const missing = typeof browser === 'string' ? browser : undefined;
let site: Site | undefined;

afterAll(async () => {
  if (typeof browser !== 'string') await browser.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs in the page. */
const examOf = (family: string): string => `(async () => {
  const { plugin } = await import('@open-claw/device-${family}');
  const { runExam } = await import('/packages/conformance/dist/exam/exam.js');
  const [found] = await plugin.probe();
  if ('reason' in found) return { found, total: 0, passed: 0, refused: 0, wrong: [] };
  const { cases } = await runExam(plugin, { device: found.id });
  const count = (outcome) => cases.filter((each) => each.outcome === outcome).length;
  const bad = cases.filter(({ outcome }) => outcome !== 'passed' && outcome !== 'refused');
  const wrong = bad.map(({ name, outcome, reason }) => name + ': ' + outcome + ': ' + reason);
  const { id, model } = found;
  return { found: { id, model }, total: cases.length, passed: count('passed'),
    refused: count('refused'), wrong };
})()`;

const note = missing === undefined ? '' : ` (needs ${missing})`;

describe.skipIf(missing !== undefined)(`in a browser${note}`, () => {
  it.each(['wasm', 'webgpu'])(
    '%s passes the exam',
    async (family) => {
      if (typeof browser === 'string') return;
      site ??= await serve();
      const page = await browser.newPage();
      await page.goto(site.address);
      const report = await page.evaluate<Report>(examOf(family));
      expect(report.found.reason).toBeUndefined();
      expect(report.wrong).toEqual([]);
      expect(report.passed + report.refused).toBe(report.total);
      expect(report.passed).toBeGreaterThan(report.total * 0.9);
    },
    600_000,
  );
});
