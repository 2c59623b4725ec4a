/** Who takes part: OpenCLAW on every device that is found, and the engines that are installed. */
import { setFlagsFromString } from 'node:v8';
import { listDevices, openDevice, usePlugins } from '@open-claw/openclaw';
import { versionIn } from './engines/engine.mjs';
import { plainLoops } from './engines/javascript.mjs';

/**
 * Where the values of a call lie: in arrays of the host, or where the engine computes. A plain loop
 * computes in arrays of the host, so it is compared with both.
 * @typedef {'host' | 'resident' | 'both'} Values
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} engine
 * @property {string} device id of a device of ours, else ''
 * @property {string} version driver or package
 * @property {string} evidence
 * @property {readonly string[]} flags of Node
 * @property {number} mostThreads
 * @property {Values} values
 * @property {readonly string[]} [only] names of cases, where it has not all
 */

/** Features that later versions of Node have without a flag. */
const relaxed = '--experimental-wasm-relaxed-simd';
const wide = '--experimental-wasm-memory64';
const iterators = '--harmony-iterator-helpers';

const isWide = (/** @type {string} */ id) => id.startsWith('wasm/memory64');

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
  if (wanted.some(isWide)) for (const flag of [relaxed, wide]) setFlagsFromString(flag);
  // A row that a device does not take by itself, as one without a matrix unit.
  const rows = await Promise.all(wanted.filter((id) => !isListed(id)).map((id) => openDevice(id)));
  return [...listed, ...rows].flatMap(({ found: { id, driver, target }, evidence }) => {
    const own = {
      name: id,
      engine: 'openclaw',
      device: id,
      version: driver,
      evidence,
      flags: id.startsWith('wasm') ? (isWide(id) ? [relaxed, wide] : [relaxed]) : [],
      mostThreads: target.cores,
      values: /** @type {Values} */ ('host'),
    };
    /** @type {Contestant} */
    const resident = { ...own, name: `${id} resident`, values: 'resident' };
    return [own, resident];
  });
}

/**
 * Engines of a folder of packages, and plain loops.
 * @param {string} folder
 * @returns {Contestant[]}
 */
export function peerContestants(folder) {
  const plain = { device: '', evidence: '', flags: [], mostThreads: 1024 };
  /** @type {readonly (Omit<Contestant, 'engine' | 'version'> & { module?: string })[]} */
  const all = [
    { ...plain, name: 'onnxruntime-node', values: 'host' },
    { ...plain, name: 'onnxruntime-web', values: 'host' },
    {
      ...plain,
      name: 'jax-js',
      module: '@jax-js/jax',
      flags: [iterators, relaxed],
      values: 'resident',
    },
    {
      ...plain,
      name: 'tfjs-wasm',
      module: '@tensorflow/tfjs-backend-wasm',
      mostThreads: 1,
      values: 'resident',
    },
  ];
  const found = all.flatMap(({ module, ...rest }) => {
    const { name } = rest;
    const version = versionIn(folder, module ?? name);
    return version === undefined ? [] : [{ ...rest, engine: name, version }];
  });
  const { version } = process;
  const loops = { ...plain, name: 'javascript', engine: 'javascript', version, mostThreads: 1 };
  return [...found, { ...loops, values: 'both', only: Object.keys(plainLoops) }];
}
