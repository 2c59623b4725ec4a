/**
 * Finds the modules of plug-ins that the user names, and those that are installed. The front door
 * may wait for it as it is imported: it must not import what the door holds.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { failure } from '@open-claw/core/device/contract';
import type { DevicePlugin } from '@open-claw/core/face';

/** Names behind `@open-claw/device-` in the package folders above this file. */
export function installedFamilies(): readonly string[] {
  const folders = createRequire(import.meta.url).resolve.paths('@open-claw/any') ?? [];
  const names = folders.flatMap((folder) => {
    const scope = join(folder, '@open-claw');
    return existsSync(scope) ? readdirSync(scope) : [];
  });
  const families = names.flatMap((name) => /^device-([a-z0-9-]+)$/.exec(name)?.[1] ?? []);
  return [...new Set(families)].sort();
}

export interface FoundPlugin {
  readonly plugin: DevicePlugin;
  readonly address: string;
}

/** Imports the module at a path or of a package. Throws OC-PLUGIN-01. */
export async function findPlugin(name: string): Promise<FoundPlugin> {
  const address = addressOf(name);
  let module: { readonly plugin?: unknown };
  try {
    module = (await import(address)) as typeof module;
  } catch (cause) {
    throw unusable(name, cause instanceof Error ? cause.message : String(cause), { cause });
  }
  const { plugin } = module;
  if (!isPlugin(plugin)) throw unusable(name, 'it exports no `plugin` of the device contract');
  return { plugin, address };
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
