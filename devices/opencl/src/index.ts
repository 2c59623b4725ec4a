/** Plug-in of OpenCL: every device of every platform that libOpenCL knows. */
import {
  type Absent,
  type Binary,
  type Device,
  type DevicePlugin,
  type Found,
  failure,
  gpuDialects,
  gpuLanguage,
  refused,
  type Source,
  type Target,
} from '@open-claw/core/device';
import { type Cache, hashOf, openCache } from '@open-claw/kernel-cache';
import { binaryFormat, joinKernels } from './binary.js';
import { type BuildPlace, buildSource } from './build.js';
import { nameOf } from './constants.js';
import { ClDeviceQueue } from './device.js';
import { type Driver, type Handle, openDriver } from './driver.js';
import { type ClDevice, identityOf, keepsPrograms, listClDevices } from './facts.js';
import { genericTarget, optionsOf, targetOf } from './targets.js';

export interface OpenClOptions {
  /** Path of the library; the system's libOpenCL where absent. */
  readonly library?: string;
  /** The folder above that of compiled kernels; CLAW_CACHE or ~/.cache/openclaw where absent. */
  readonly cache?: string;
  /** Opens the library; for tests that put faults between. */
  readonly driver?: () => Driver | string;
}

const language = gpuLanguage('opencl');

/** A device with what is made from its facts. */
interface Known extends ClDevice {
  readonly id: string;
  readonly target: Target;
  readonly identity: string;
  readonly options: string;
}

const fix =
  'install the OpenCL driver of your device and the loader libOpenCL ' +
  '(on Debian: apt install ocl-icd-libopencl1; for CPUs: pocl-opencl-icd)';

/** Makes the plug-in. Ids: `opencl:0`, `opencl:1`, … in the order of the platforms. */
export function openClDevice(given: OpenClOptions = {}): DevicePlugin {
  let opened: Driver | undefined;
  const driverOr = (): Driver | string => {
    if (opened !== undefined) return opened;
    // A driver may be installed later: only success is remembered.
    const driver = given.driver?.() ?? openDriver(given.library);
    if (typeof driver !== 'string') opened = driver;
    return driver;
  };
  const list = (driver: Driver): readonly Known[] =>
    listClDevices(driver).map((device, i) => ({
      ...device,
      id: `opencl:${i}`,
      target: targetOf(device.facts),
      identity: identityOf(device.facts),
      options: optionsOf(device.facts, gpuDialects.opencl.options),
    }));
  let cache: Cache | undefined;
  const cacheOf = (): Cache => {
    cache ??= openCache({ family: 'opencl', suffix: 'clbin', folder: given.cache });
    return cache;
  };

  /** Does work in a context of the device, which ends with it. */
  const within = async <T>(
    driver: Driver,
    known: Known,
    work: (place: BuildPlace) => Promise<T>,
  ): Promise<T> => {
    const context = contextOf(driver, known);
    try {
      return await work({ driver, context, device: known.handle, options: known.options });
    } finally {
      driver.release('context', context);
    }
  };

  /** Empty where the text is to be built again: the driver finds its own copy. */
  const compiledOf = async (driver: Driver, known: Known, text: string): Promise<Uint8Array> => {
    const key = hashOf('2', known.identity, known.options, text);
    const [kept] = cacheOf().find(key) ?? [];
    if (kept !== undefined) return kept;
    const compiled = await within(driver, known, async (place) => {
      const program = await buildSource(place, text);
      const own = keepsPrograms(known.facts);
      const bytes = own ? new Uint8Array(0) : await driver.programBinary(program);
      driver.release('program', program);
      return bytes;
    });
    // Also nothing is kept: the text is then known to compile.
    cacheOf().keep(key, [compiled]);
    return compiled;
  };

  return {
    contract: 1,
    name: 'opencl',
    targets: [genericTarget],
    language,

    async probe(): Promise<readonly (Found | Absent)[]> {
      const driver = driverOr();
      if (typeof driver === 'string') return [{ id: 'opencl', reason: driver, fix }];
      const known = list(driver);
      if (known.length === 0) {
        return [{ id: 'opencl', reason: `${driver.path} knows no platform with a device`, fix }];
      }
      return known.map((each) => listingOf(driver, each));
    },

    async compile(source: Source, target: Target): Promise<Binary> {
      if (source.language !== language.name) {
        throw refused(`${source.language} for ${target.id}`, 'this device compiles OpenCL C');
      }
      const text = source.text ?? '';
      const binary = { format: binaryFormat, target: target.id, entries: source.entries };
      const driver = driverOr();
      const known = typeof driver === 'string' ? [] : list(driver).filter(isUsable);
      const wanted = JSON.stringify(target);
      const device =
        known.find((each) => JSON.stringify(each.target) === wanted) ??
        known.find((each) => each.target.id === target.id);
      // Without a driver the text is the binary: the device that loads it builds it.
      if (typeof driver === 'string' || device === undefined) {
        const bytes = joinKernels({ text, compiled: new Uint8Array(0) });
        return { ...binary, toolchain: 'source', bytes };
      }
      const compiled = await compiledOf(driver, device, text);
      return { ...binary, toolchain: device.identity, bytes: joinKernels({ text, compiled }) };
    },

    async open(id: string): Promise<Device> {
      const driver = driverOr();
      const devices = typeof driver === 'string' ? [] : list(driver).filter(isUsable);
      const known = devices.find((each) => each.id === id || each.target.id === id);
      if (typeof driver === 'string' || known === undefined) {
        const where = typeof driver === 'string' ? { where: driver } : {};
        throw failure('OC-DEVICE-06', { id }, { kind: 'unavailable', ...where });
      }
      const context = contextOf(driver, known);
      const { object: queue, code } = driver.createQueue(context, known.handle);
      if (code !== 0) {
        driver.release('context', context);
        throw gone(nameOf(code));
      }
      return new ClDeviceQueue({
        driver,
        context,
        device: known.handle,
        options: known.options,
        target: known.target,
        identity: known.identity,
        onHost: known.facts.kind === 'cpu',
        queue,
        release: () => driver.release('context', context),
      });
    },
  };
}

const isUsable = ({ facts }: Known): boolean => facts.available && facts.compiles;

const gone = (reason: string): Error =>
  failure('OC-DEVICE-09', { reason }, { kind: 'transient', retry: 'other-device' });

function contextOf(driver: Driver, known: Known): Handle {
  const { object, code } = driver.createContext(known.handle);
  if (code !== 0) throw gone(nameOf(code));
  return object;
}

function listingOf(driver: Driver, known: Known): Found | Absent {
  const { id, facts, target } = known;
  if (!isUsable(known)) {
    const what = facts.available ? 'its driver has no compiler' : 'its driver says unavailable';
    return { id, reason: `${facts.name}: ${what}`, fix: 'install the full driver of the device' };
  }
  // Kernels on a CPU show that the driver takes our text, and nothing about an accelerator.
  const software = facts.kind === 'cpu' ? (['software'] as const) : [];
  return {
    id,
    model: facts.name,
    driver: `${facts.platform}; ${facts.version}; driver ${facts.driver}`,
    target,
    freeBytes: facts.globalBytes,
    peers: [],
    marks: driver.isStub ? ['stub'] : software,
  };
}

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = openClDevice();

export { ClDeviceQueue } from './device.js';
export { type Driver, openDriver } from './driver.js';
