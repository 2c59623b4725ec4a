/** The devices of this repository that are there; tests run on each. */
import { listDevices, use } from '@open-claw/core';
import { plugin as native } from '@open-claw/device-native';
import { plugin as template } from '@open-claw/device-template';
import { plugin as wasm } from '@open-claw/device-wasm';

/** Ids of all devices that were found. */
export async function useDevices(): Promise<readonly string[]> {
  for (const plugin of [template, wasm, native]) use(plugin);
  return (await listDevices()).flatMap((entry) => ('found' in entry ? [entry.found.id] : []));
}
