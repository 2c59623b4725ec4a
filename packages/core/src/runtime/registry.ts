/** The devices that are known: plug-ins by name, what their probes found, and what is open. */
import { failure, isFailure } from '../base/errors.js';
import type { Evidence, Target } from '../base/target.js';
import {
  type Absent,
  contractVersion,
  type Device,
  type DevicePlugin,
  type Found,
} from './contract.js';

/** One line of `claw devices`. */
export type Listing =
  | FoundListing
  | { readonly plugin: string; readonly evidence: 'none'; readonly absent: Absent };

interface FoundListing {
  readonly plugin: string;
  readonly evidence: Evidence;
  readonly found: Found;
}

/** A device that is open. */
export interface OpenDevice {
  readonly id: string;
  readonly plugin: DevicePlugin;
  readonly found: Found;
  readonly target: Target;
  readonly evidence: Evidence;
  readonly device: Device;
}

/** By name, in the order in which they became known; one that waits to be loaded is a function. */
const known = new Map<string, DevicePlugin | (() => Promise<DevicePlugin>)>();
/** By plug-in and id: who holds a device whose plug-in was replaced since goes on with it. */
const open = new Map<DevicePlugin, Map<string, Promise<OpenDevice>>>();
const opened = new WeakMap<Promise<OpenDevice>, OpenDevice>();
/** Lost devices that are given back; their ids open again when that is done. */
const closing = new Map<string, Promise<void>>();

/**
 * Makes a plug-in known; one of the same name is replaced, and devices that are opened from now on
 * are the new one's. Throws OC-DEVICE-08.
 */
export function use(plugin: DevicePlugin): void {
  const given: unknown = plugin.contract;
  if (given !== contractVersion) {
    const details = { name: String(plugin.name), given: String(given), expected: contractVersion };
    throw failure('OC-DEVICE-08', details, { kind: 'unavailable' });
  }
  known.set(plugin.name, plugin);
}

/**
 * Makes a plug-in known by its name alone: it is loaded when a device of it, or every device, is
 * asked for. One of the same name is replaced.
 */
export function useLater(name: string, load: () => Promise<DevicePlugin>): void {
  known.set(name, load);
}

/** Names of the plug-ins that are known, loaded or not. */
export const pluginNames = (): readonly string[] => [...known.keys()];

/** The plug-ins that are loaded. */
export const plugins = (): readonly DevicePlugin[] =>
  [...known.values()].flatMap((entry) => (typeof entry === 'function' ? [] : [entry]));

/** All plug-ins that are known; those that wait are loaded. One that cannot be loaded rejects. */
export const loadedPlugins = (): Promise<readonly DevicePlugin[]> =>
  Promise.all(pluginNames().map(pluginOf));

async function pluginOf(name: string): Promise<DevicePlugin> {
  const entry = known.get(name) as DevicePlugin | (() => Promise<DevicePlugin>);
  if (typeof entry !== 'function') return entry;
  const plugin = await entry();
  // Another may have taken the name meanwhile.
  if (known.get(name) === entry) use(plugin);
  return plugin;
}

/** How claims about a device are obtained: from what its probe saw, never from its own word. */
export function evidenceOf({ marks }: Found): Evidence {
  if (marks.includes('stub') || marks.includes('pretend')) return 'stub';
  return marks.includes('emulator') || marks.includes('software') ? 'emulator' : 'hardware';
}

/** Every device found and every one not, in order of the plug-ins. */
export async function listDevices(): Promise<readonly Listing[]> {
  const all = await Promise.all(pluginNames().map(probe));
  return all.flatMap(({ listings }) => listings);
}

/**
 * The ids of devices to try where the user named none: those that are hardware, then the others,
 * each in order of the plug-ins. A plug-in behind one that has hardware is neither loaded nor
 * probed before the ids in front of it are used up.
 */
export async function* preferredDevices(): AsyncGenerator<string> {
  const later: string[] = [];
  for (const name of pluginNames()) {
    for (const listing of (await probe(name)).listings) {
      if (!('found' in listing)) continue;
      if (listing.evidence === 'hardware') yield listing.found.id;
      else later.push(listing.found.id);
    }
  }
  yield* later;
}

/** What a plug-in found; another may have its name by now. */
interface Probed {
  /** Absent where it cannot be loaded. */
  readonly plugin?: DevicePlugin;
  readonly listings: readonly Listing[];
}

async function probe(name: string): Promise<Probed> {
  try {
    const plugin = await pluginOf(name);
    const listings = (await plugin.probe()).map(
      (entry): Listing =>
        'reason' in entry
          ? { plugin: name, evidence: 'none', absent: entry }
          : { plugin: name, evidence: evidenceOf(entry), found: entry },
    );
    return { plugin, listings };
  } catch (error) {
    const reason = isFailure(error) ? error.what : String(error);
    const absent = { id: name, reason, fix: 'report it to the maker of the plug-in' };
    return { listings: [{ plugin: name, evidence: 'none', absent }] };
  }
}

/**
 * Opens a device by its id, the first one of a plug-in by the plug-in's name, or one row of it by
 * the target's id (`family/row`). One that is open already is shared. Throws OC-DEVICE-06.
 */
export async function openDevice(id: string): Promise<OpenDevice> {
  const shared = sharedDevice(id);
  if (shared !== undefined) return shared;
  const isWanted = (name: string, plugin: string): boolean =>
    name === id || plugin === id || name.split(/[:/]/)[0] === id;
  const chosen = ({ plugin, listings }: Probed): Promise<OpenDevice> | undefined => {
    for (const listing of listings) {
      if (!('found' in listing) || plugin === undefined) continue;
      const { found, evidence } = listing;
      if (isWanted(found.id, plugin.name)) return openFound(plugin, found, evidence);
      const row = plugin.targets.find((target) => target.id === id);
      // A row says what kernels may use; how many of them run at a time the machine says.
      const target = row === undefined ? undefined : { ...row, cores: found.target.cores };
      if (target !== undefined) return openFound(plugin, { ...found, id, target }, evidence);
    }
    return undefined;
  };
  // A probe may start a compiler or a driver: the family that the id names comes first.
  const family = id.split(/[:/]/)[0] as string;
  const likely = known.has(family) ? chosen(await probe(family)) : undefined;
  if (likely !== undefined) return likely;
  const all = await Promise.all(pluginNames().map(probe));
  for (const probed of all) {
    const other = chosen(probed);
    if (other !== undefined) return other;
  }
  const listings = all.flatMap((probed) => probed.listings);
  const missing = listings.find(
    (listing) => 'absent' in listing && isWanted(listing.absent.id, listing.plugin),
  );
  const absent = missing !== undefined && 'absent' in missing ? missing.absent : undefined;
  const where = absent === undefined ? {} : { where: `${absent.reason}; ${absent.fix}` };
  throw failure('OC-DEVICE-06', { id }, { kind: 'unavailable', retry: 'other-device', ...where });
}

/** The open device of this id of a plug-in that is still the one of its name. */
function sharedDevice(id: string): Promise<OpenDevice> | undefined {
  for (const plugin of known.values()) {
    const opening = typeof plugin === 'function' ? undefined : open.get(plugin)?.get(id);
    if (opening !== undefined) return opening;
  }
  return undefined;
}

/** What openDevice gives for the id, where it is open already. */
export function openedDevice(id: string): OpenDevice | undefined {
  const opening = sharedDevice(id);
  return opening && opened.get(opening);
}

async function openFound(
  plugin: DevicePlugin,
  found: Found,
  evidence: Evidence,
): Promise<OpenDevice> {
  const { id, target } = found;
  const devices = open.get(plugin) ?? new Map<string, Promise<OpenDevice>>();
  const shared = devices.get(id);
  if (shared !== undefined) return shared;
  const opening = (closing.get(id) ?? Promise.resolve())
    .then(() => plugin.open(id))
    .then((device): OpenDevice => ({ id, plugin, found, target, evidence, device }));
  const forget = (): void => {
    if (devices.get(id) === opening) devices.delete(id);
  };
  open.set(plugin, devices.set(id, opening));
  opening.then((made) => {
    const { device } = made;
    opened.set(opening, made);
    void device.lost.then(({ retry }) => {
      forget();
      // What it holds of its driver would fail the next one; one that is stuck would hold us too.
      if (retry === 'reopen') giveBack(id, device);
    });
  }, forget);
  return opening;
}

function giveBack(id: string, device: Device): void {
  const done = device.close().catch(() => {});
  closing.set(id, done);
  void done.then(() => {
    if (closing.get(id) === done) closing.delete(id);
  });
}

/** Closes every open device. */
export async function closeDevices(): Promise<void> {
  const all = [...open.values()].flatMap((devices) => [...devices.values()]);
  const devices = await Promise.allSettled(all);
  open.clear();
  for (const result of devices) {
    if (result.status === 'fulfilled') await result.value.device.close();
  }
}
