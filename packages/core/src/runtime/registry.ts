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
  | { readonly plugin: string; readonly evidence: Evidence; readonly found: Found }
  | { readonly plugin: string; readonly evidence: 'none'; readonly absent: Absent };

/** A device that is open. */
export interface OpenDevice {
  readonly id: string;
  readonly plugin: DevicePlugin;
  readonly found: Found;
  readonly target: Target;
  readonly evidence: Evidence;
  readonly device: Device;
}

const known = new Map<string, DevicePlugin>();
const open = new Map<string, Promise<OpenDevice>>();

/** Makes a plug-in known; one of the same name is replaced. Throws OC-DEVICE-08. */
export function use(plugin: DevicePlugin): void {
  const given: unknown = plugin.contract;
  if (given !== contractVersion) {
    const details = { name: String(plugin.name), given: String(given), expected: contractVersion };
    throw failure('OC-DEVICE-08', details, { kind: 'unavailable' });
  }
  known.set(plugin.name, plugin);
}

export const plugins = (): readonly DevicePlugin[] => [...known.values()];

/** How claims about a device are obtained: from what its probe saw, never from its own word. */
export function evidenceOf({ marks }: Found): Evidence {
  if (marks.includes('stub') || marks.includes('pretend')) return 'stub';
  return marks.includes('emulator') || marks.includes('software') ? 'emulator' : 'hardware';
}

/** Every device found and every one not, in order of the plug-ins. */
export async function listDevices(): Promise<readonly Listing[]> {
  const lists = await Promise.all(plugins().map(probe));
  return lists.flat();
}

async function probe(plugin: DevicePlugin): Promise<readonly Listing[]> {
  try {
    const entries = await plugin.probe();
    return entries.map((entry) =>
      'reason' in entry
        ? { plugin: plugin.name, evidence: 'none', absent: entry }
        : { plugin: plugin.name, evidence: evidenceOf(entry), found: entry },
    );
  } catch (error) {
    const reason = isFailure(error) ? error.what : String(error);
    const absent = { id: plugin.name, reason, fix: 'report it to the maker of the plug-in' };
    return [{ plugin: plugin.name, evidence: 'none', absent }];
  }
}

/**
 * Opens a device by its id, or the first one of a plug-in by the plug-in's name. One that is open
 * already is shared. Throws OC-DEVICE-06.
 */
export async function openDevice(id: string): Promise<OpenDevice> {
  const shared = open.get(id);
  if (shared !== undefined) return shared;
  const opening = openNew(id);
  open.set(id, opening);
  try {
    const opened = await opening;
    void opened.device.lost.then(() => forget(opened));
    return opened;
  } catch (error) {
    open.delete(id);
    throw error;
  }
}

async function openNew(id: string): Promise<OpenDevice> {
  const listings = await listDevices();
  const isWanted = (name: string): boolean => name === id || name.split(/[:/]/)[0] === id;
  for (const listing of listings) {
    if (!('found' in listing)) continue;
    const { found } = listing;
    if (!isWanted(found.id) && listing.plugin !== id) continue;
    const first = open.get(found.id);
    if (found.id !== id && first !== undefined) return first;
    const plugin = known.get(listing.plugin) as DevicePlugin;
    const device = await plugin.open(found.id);
    const { target } = found;
    return { id: found.id, plugin, found, target, evidence: listing.evidence, device };
  }
  const absent = listings.find(
    (listing) => 'absent' in listing && (isWanted(listing.absent.id) || listing.plugin === id),
  );
  const reason = absent !== undefined && 'absent' in absent ? absent.absent : undefined;
  const where = reason === undefined ? {} : { where: `${reason.reason}; ${reason.fix}` };
  throw failure('OC-DEVICE-06', { id }, { kind: 'unavailable', retry: 'other-device', ...where });
}

function forget(opened: OpenDevice): void {
  for (const [id, promise] of open) {
    void promise.then(
      (other) => {
        if (other === opened) open.delete(id);
      },
      () => {},
    );
  }
}

/** Closes every open device. */
export async function closeDevices(): Promise<void> {
  const devices = await Promise.allSettled([...open.values()]);
  open.clear();
  const distinct = new Set(
    devices.flatMap((result) => (result.status === 'fulfilled' ? [result.value.device] : [])),
  );
  for (const device of distinct) await device.close();
}
