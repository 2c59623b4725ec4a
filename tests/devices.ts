/** The devices of this repository that are there; tests run on each. */
import { type DevicePlugin, listDevices, use } from '@open-claw/core';
import { plugin as native, nativeDevice } from '@open-claw/device-native';
import { plugin as template } from '@open-claw/device-template';
import { plugin as wasm, wasmDevice } from '@open-claw/device-wasm';

/** Ids of all devices that were found. */
export async function useDevices(): Promise<readonly string[]> {
  for (const plugin of [template, wasm, native]) use(plugin);
  return (await listDevices()).flatMap((entry) => ('found' in entry ? [entry.found.id] : []));
}

/**
 * WebAssembly on so many threads under a name of its own; every kernel counts as large, so that
 * workers take part in small ones too.
 */
export function threadedWasm(name: string, threads: number, target: string): DevicePlugin {
  const plugin = wasmDevice({ threads, target });
  return {
    ...plugin,
    name,
    probe: async () => (await plugin.probe()).map((found) => ({ ...found, id: name })),
    async open() {
      const device = await plugin.open('wasm');
      const submit: typeof device.submit = (commands, stop) => {
        const large = commands.map((command) =>
          command.kind === 'launch' ? { ...command, microseconds: 1000 } : command,
        );
        device.submit(large, stop);
      };
      return new Proxy(device, {
        get: (target, key) => {
          if (key === 'submit') return submit;
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

/** The CPU as if it had so many cores, under a name of its own. */
export function manyCores(name: string, threads: number): DevicePlugin {
  const plugin = nativeDevice({ threads });
  return {
    ...plugin,
    name,
    probe: async () => (await plugin.probe()).map((found) => ({ ...found, id: name })),
    open: () => plugin.open('native'),
  };
}
