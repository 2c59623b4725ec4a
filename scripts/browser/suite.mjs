/** The ONNX backend suite in a browser: case by case, in a page that is replaced where it ends. */
import { basename } from 'node:path';
import { suiteReport } from '@open-claw/conformance/browser';

/** @typedef {import('@open-claw/conformance').CaseReport} CaseReport */
/** @typedef {import('@open-claw/conformance').SuiteReport} SuiteReport */
/** @typedef {import('./chromium.mjs').Page} Page */
/** @typedef {import('@open-claw/core').Evidence} Evidence */
/** @typedef {{ device: string, driver: string, evidence: Evidence }} Facts */

/**
 * @typedef {object} Options
 * @property {import('./chromium.mjs').Browser} browser
 * @property {string} address of the site, which serves the suite
 * @property {string} archive path of the suite, for its name
 * @property {string} device `wasm` or `webgpu:0`
 * @property {RegExp} [filter] names of cases
 * @property {number} [timeLimit] milliseconds for one case
 * @property {(report: CaseReport, total: number) => void} [onCase]
 */

/** Time over the limit after which a page that does not answer is closed. */
const grace = 5000;
const load = `import('/scripts/browser/page.mjs')`;

/** @param {Options} options */
async function opened({ browser, address, device }) {
  const page = await browser.newPage();
  await page.goto(address);
  const text = `${load}.then((module) => module.open(${JSON.stringify(device)}))`;
  /** @type {Facts & { sha256: string, names: string[] }} */
  const found = await page.evaluate(text);
  return { page, found };
}

/**
 * One case, whatever happens to the page.
 * @param {Page} page
 * @param {string} name
 * @param {number} timeLimit
 * @returns {Promise<{ report: CaseReport, lives: boolean }>}
 */
async function oneCase(page, name, timeLimit) {
  const start = Date.now();
  /** @type {(outcome: 'crashed' | 'timeout', reason: string) => CaseReport} */
  const ended = (outcome, reason) => {
    return { name, outcome, reason, maxError: 0, hostSteps: 0, ms: Date.now() - start };
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Promise<undefined>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeLimit + grace);
  });
  const text = `${load}.then((module) => module.run(${JSON.stringify(name)}, ${timeLimit}))`;
  try {
    /** @type {CaseReport | undefined} */
    const report = await Promise.race([page.evaluate(text), late]);
    if (report === undefined) {
      return { report: ended('timeout', `more than ${timeLimit} ms`), lives: false };
    }
    return { report, lives: report.outcome !== 'crashed' && report.outcome !== 'timeout' };
  } catch (error) {
    return { report: ended('crashed', String(error)), lives: false };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Options} options
 * @returns {Promise<{ facts: Facts, report: SuiteReport }>}
 */
export async function conformInBrowser(options) {
  const { archive, filter, timeLimit = 60_000, onCase } = options;
  const first = await opened(options);
  let { page } = first;
  const { sha256, names, ...facts } = first.found;
  const wanted = names.filter((name) => filter?.test(name) !== false);
  /** @type {CaseReport[]} */
  const cases = [];
  for (const name of wanted) {
    const { report, lives } = await oneCase(page, name, timeLimit);
    cases.push(report);
    onCase?.(report, wanted.length);
    if (lives) continue;
    await page.close().catch(() => undefined);
    page = (await opened(options)).page;
  }
  await page.close();
  return { facts, report: suiteReport({ name: basename(archive), sha256 }, cases) };
}
