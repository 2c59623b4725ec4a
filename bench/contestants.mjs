/** Who takes part: OpenCLAW on every device that is found, and the engines that are installed. */
import { listDevices, openDevice, usePlugins } from '@open-claw/openclaw';
import { versionIn } from './engines/engine.mjs';

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} engine
 * @property {string} device id of a device of ours, else ''
 * @property {string} version driver or package
 * @property {string} evidence
 * @property {readonly string[]} flags of Node
 * @property {number} mostThreads
 */

/** Features that later versions of Node have without a flag. */
const relaxed = '--experimental-wasm-relaxed-simd';
const iterators = '--harmony-iterator-helpers';

/**
 * @param {readonly string[]} wanted ids of devices, or rows of them; all devices found where empty
 * @returns {Promise<Contestant[]>}
 */
export async function ownContestants(wanted) {
  await usePlugins(wanted.length === 0 ? {} : { device: wanted.join(',') });
  const found = (await listDevices()).flatMap((listing) =>
    'found' in listing ? [{ id: listing.found.id, listing }] : [],
  );
  const isWanted = (/** @type {string} */ id) =>
    wanted.length === 0 || wanted.some((each) => each === id || id.startsWith(`${each}/`));
  const listed = found.filter(({ id }) => isWanted(id)).map(({ listing }) => listing);
  const isListed = (/** @type {string} */ id) =>
    found.some((each) => each.id === id || each.id.startsWith(`${id}/`));
  // A row that a device does not take by itself, as one without a matrix unit.
  const rows = await Promise.all(wanted.filter((id) => !isListed(id)).map((id) => openDevice(id)));
  return [...listed, ...rows].map(({ found: { id, driver, target }, evidence }) => ({
    name: id,
    engine: 'openclaw',
    device: id,
    version: driver,
    evidence,
    flags: id.startsWith('wasm') ? [relaxed] : [],
    mostThreads: target.cores,
  }));
}

/** @param {string} folder @returns {Contestant[]} */
export function peerContestants(folder) {
  const all = [
    { name: 'onnxruntime-node', flags: [] },
    { name: 'onnxruntime-web', flags: [] },
    { name: 'jax-js', module: '@jax-js/jax', flags: [iterators, relaxed] },
    { name: 'tfjs-wasm', module: '@tensorflow/tfjs-backend-wasm', flags: [], mostThreads: 1 },
  ];
  return all.flatMap(({ name, module = name, flags, mostThreads = 1024 }) => {
    const version = versionIn(folder, module);
    if (version === undefined) return [];
    return [{ name, engine: name, device: '', version, evidence: '', flags, mostThreads }];
  });
}
