/** Which plug-ins are known on Node: the default devices, and what the user names. */
import { type DevicePlugin, isFailure, pluginNames, use, useLater } from '@open-claw/core/face';
import { absentPlugin } from './absent.js';

export interface DeviceOptions {
  /** Ids in order of preference, with commas between: the first that is there is taken. */
  readonly device?: string;
  /** A plug-in, or the path or package name of a module that exports `plugin`. */
  readonly plugin?: DevicePlugin | string | readonly (DevicePlugin | string)[];
  /** Threads of the devices that run on the CPU; absent: as in the call before, else all cores. */
  readonly threads?: number;
}

/** Addresses of the modules behind plug-ins, for processes that load them again. */
const addresses = new Map<string, () => string>();

export const pluginAddresses = (): readonly string[] => [...addresses.values()].map((at) => at());

const familyOf = (id: string): string => id.split(/[:/]/)[0] as string;

/** Makes the default devices known, then those that the options and CLAW_DEVICE name. */
export async function usePlugins(options: DeviceOptions): Promise<void> {
  useNative(options.threads);
  useWasm(options.threads);
  addresses.set('wasm', () => import.meta.resolve('@open-claw/device-wasm'));
  const given = options.plugin ?? [];
  for (const each of Array.isArray(given) ? given : [given]) {
    use(typeof each === 'string' ? await importPlugin(each) : each);
  }
  for (const id of wantedIds(options)) await useFamilyOf(id);
}

/** The ids to try, best first; without a wish those of the options' plug-ins and the defaults. */
export function wantedIds(options: DeviceOptions): readonly string[] {
  const text = options.device ?? process.env['CLAW_DEVICE'] ?? '';
  return text
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
}

const isKnown = (name: string): boolean => pluginNames().includes(name);

/** Plug-ins made for a number of threads: who asks for as many again shares their devices. */
const made = new Map<string, DevicePlugin>();

function pluginFor(name: string, threads: number, make: () => DevicePlugin): DevicePlugin {
  const key = `${name} ${threads}`;
  const plugin = made.get(key) ?? make();
  made.set(key, plugin);
  return plugin;
}

function useWasm(threads: number | undefined): void {
  if (isKnown('wasm') && threads === undefined) return;
  useLater('wasm', async () => {
    const { wasmDevice, plugin } = await import('@open-claw/device-wasm');
    if (threads === undefined) return plugin;
    return pluginFor('wasm', threads, () => wasmDevice({ threads }));
  });
}

/** The CPU device is optional: an installation may leave its package out. */
function useNative(threads: number | undefined): void {
  if (isKnown('native') && threads === undefined) return;
  useLater('native', async () => {
    try {
      const { nativeDevice, plugin } = await import('@open-claw/device-native');
      addresses.set('native', () => import.meta.resolve('@open-claw/device-native'));
      if (threads === undefined) return plugin;
      return pluginFor('native', threads, () => nativeDevice({ threads }));
    } catch (error) {
      const fix = 'npm install @open-claw/device-native';
      return absentPlugin('native', isFailure(error) ? error.what : String(error), fix);
    }
  });
}

/** Makes the plug-in of a target or an id known where it is installed. Throws OC-PLUGIN-01. */
export async function useFamilyOf(id: string): Promise<void> {
  const family = familyOf(id);
  if (family !== 'interpreter' && !isKnown(family)) await useByName(family);
}

/** A family that is not known may be an installed package of the usual name. */
async function useByName(family: string): Promise<void> {
  if (!/^[a-z0-9-]{1,40}$/.test(family)) return;
  const name = `@open-claw/device-${family}`;
  try {
    use(await importPlugin(name));
  } catch (error) {
    if (!isFailure(error) || error.details['missing'] !== true) throw error;
  }
}

/** Families that are an example, listed only when they are named. */
const examples: readonly string[] = ['template'];

/** Makes every installed device package known; one that does not load is listed with the reason. */
export async function useInstalled(): Promise<void> {
  const { installedFamilies } = await import('./find.js');
  for (const family of installedFamilies()) {
    if (isKnown(family) || examples.includes(family)) continue;
    try {
      use(await importPlugin(`@open-claw/device-${family}`));
    } catch (error) {
      if (!isFailure(error)) throw error;
      use(absentPlugin(family, error.what, error.fix));
    }
  }
}

/** Imports the module at a path or of a package. Throws OC-PLUGIN-01. */
export async function importPlugin(name: string): Promise<DevicePlugin> {
  // Loaded here: most programs name no plug-in.
  const { findPlugin } = await import('./find.js');
  const { plugin, address } = await findPlugin(name);
  addresses.set(plugin.name, () => address);
  return plugin;
}
