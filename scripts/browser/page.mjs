/** Runs in the page: opens a device of the browser and takes the exam or single cases on it. */
import { conformCase, runExam } from '@open-claw/conformance/browser';
import { openDevice, use } from '@open-claw/core';
import { casesOf, gunzip, isGzip, readTar } from '@open-claw/formats';

/** @typedef {import('@open-claw/conformance').CaseReport} CaseReport */

/** @type {Map<string, import('@open-claw/formats').SuiteCase>} */
const cases = new Map();
/** @type {import('@open-claw/core').OpenDevice | undefined} */
let opened;

/** @param {string} family as `webgpu` */
async function pluginOf(family) {
  /** @type {{ plugin: import('@open-claw/core').DevicePlugin }} */
  const { plugin } = await import(`@open-claw/device-${family}`);
  return plugin;
}

/**
 * The exam of a family's first device; the reason where there is none.
 * @param {string} family
 * @param {RegExp} [filter] names of tests
 */
export async function exam(family, filter) {
  const plugin = await pluginOf(family);
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) return found?.reason ?? 'no device';
  return runExam(plugin, { device: found.id, ...(filter === undefined ? {} : { filter }) });
}

/**
 * Opens a device and reads the suite that the site serves.
 * @param {string} id as `webgpu:0`
 */
export async function open(id) {
  use(await pluginOf(/** @type {string} */ (id.split(/[:/]/)[0])));
  opened = await openDevice(id);
  const response = await fetch('/suite');
  const bytes = new Uint8Array(await response.arrayBuffer());
  const sha256 = await crypto.subtle.digest('SHA-256', bytes);
  for (const each of casesOf(readTar(isGzip(bytes) ? gunzip(bytes) : bytes))) {
    cases.set(each.name, each);
  }
  const hex = [...new Uint8Array(sha256)].map((byte) => byte.toString(16).padStart(2, '0'));
  const { found, evidence } = opened;
  return {
    device: opened.id,
    driver: found.driver,
    evidence,
    sha256: hex.join(''),
    names: [...cases.keys()],
  };
}

/**
 * @param {string} name
 * @param {number} timeLimit milliseconds
 * @returns {Promise<CaseReport>}
 */
export async function run(name, timeLimit) {
  const each = cases.get(name);
  if (each === undefined) throw new Error(`no case ${name}`);
  return conformCase(each, opened, timeLimit);
}
