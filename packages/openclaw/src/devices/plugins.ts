/** Which plug-ins are known on Node: the default devices, and what the user names. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { failure } from '@open-claw/core/device/contract';
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
  await useNative(options.threads);
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
async function useNative(threads: number | undefined): Promise<void> {
  if (isKnown('native') && threads === undefined) return;
  try {
    const { nativeDevice, plugin } = await import('@open-claw/device-native');
    if (threads === undefined) use(plugin);
    else use(pluginFor('native', threads, () => nativeDevice({ threads })));
    addresses.set('native', () => import.meta.resolve('@open-claw/device-native'));
  } catch (error) {
    const fix = 'npm install @open-claw/device-native';
    use(absentPlugin('native', isFailure(error) ? error.what : String(error), fix));
  }
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

/** Names behind `@open-claw/device-` in the package folders above this file. */
function installedFamilies(): readonly string[] {
  const folders = createRequire(import.meta.url).resolve.paths('@open-claw/any') ?? [];
  const names = folders.flatMap((folder) => {
    const scope = join(folder, '@open-claw');
    return existsSync(scope) ? readdirSync(scope) : [];
  });
  const families = names.flatMap((name) => /^device-([a-z0-9-]+)$/.exec(name)?.[1] ?? []);
  return [...new Set(families)].sort();
}

/** Imports the module at a path or of a package. Throws OC-PLUGIN-01. */
export async function importPlugin(name: string): Promise<DevicePlugin> {
  const address = addressOf(name);
  let module: { readonly plugin?: unknown };
  try {
    module = (await import(address)) as typeof module;
  } catch (cause) {
    throw unusable(name, cause instanceof Error ? cause.message : String(cause), { cause });
  }
  const { plugin } = module;
  if (!isPlugin(plugin)) throw unusable(name, 'it exports no `plugin` of the device contract');
  addresses.set(plugin.name, () => address);
  return plugin;
}

function isPlugin(value: unknown): value is DevicePlugin {
  if (typeof value !== 'object' || value === null) return false;
  const { name, contract, probe } = value as Record<string, unknown>;
  return typeof name === 'string' && contract !== undefined && typeof probe === 'function';
}

function unusable(
  name: string,
  reason: string,
  more: { readonly missing?: boolean; readonly cause?: unknown } = {},
): Error {
  const details = { name, reason, missing: more.missing === true };
  return failure('OC-PLUGIN-01', details, { kind: 'unavailable', cause: more.cause });
}

/** A path is taken from the working folder; a package from here, then from the working folder. */
function addressOf(name: string): string {
  const path = resolve(name);
  if (existsSync(path)) return pathToFileURL(entryOf(path, name)).href;
  try {
    return import.meta.resolve(name);
  } catch {
    try {
      const found = createRequire(join(process.cwd(), 'here.js')).resolve(name);
      return pathToFileURL(found).href;
    } catch (cause) {
      throw unusable(name, 'there is no such file or package', { missing: true, cause });
    }
  }
}

/** The module file of a path: itself, or what a folder's package.json exports. */
function entryOf(path: string, name: string): string {
  if (!statSync(path).isDirectory()) return path;
  try {
    const text = readFileSync(join(path, 'package.json'), 'utf8');
    const { exports: given, main } = JSON.parse(text) as {
      readonly exports?: { readonly '.'?: { readonly default?: string } };
      readonly main?: string;
    };
    return join(path, given?.['.']?.default ?? main ?? 'index.js');
  } catch (cause) {
    throw unusable(name, 'the folder has no package.json', { cause });
  }
}
