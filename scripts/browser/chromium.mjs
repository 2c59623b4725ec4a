/** Opens Chromium without a window, by the package `playwright-core`; it downloads nothing. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from '../lib.mjs';

/**
 * @typedef {object} Page
 * @property {(address: string) => Promise<unknown>} goto
 * @property {(text: string) => Promise<any>} evaluate
 * @property {() => Promise<void>} close
 */
/**
 * @typedef {object} Browser
 * @property {() => Promise<Page>} newPage
 * @property {() => Promise<void>} close
 */

const executable = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const built = existsSync(join(repository, 'devices/webgpu/dist/index.js'));

/**
 * A browser with a profile of its own, which goes with it; or what is missing.
 * @returns {Promise<Browser | string>}
 */
export async function openChromium() {
  if (executable === undefined) return 'Chromium';
  if (!built) return 'built packages (npm run prepare)';
  const playwright = await import('playwright-core').catch(() => undefined);
  if (playwright === undefined) return 'the package playwright-core';
  const folder = mkdtempSync(join(tmpdir(), 'browser-'));
  const context = await playwright.chromium.launchPersistentContext(folder, {
    executablePath: executable,
    headless: true,
    chromiumSandbox: false,
    args: ['--enable-unsafe-webgpu', '--no-first-run', '--disable-background-networking'],
  });
  return {
    newPage: () => context.newPage(),
    close: async () => {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
