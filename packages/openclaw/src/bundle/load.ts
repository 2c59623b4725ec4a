/** Loads a bundle: its kernels on the device of its target, without a compiler. */
import { type OpenDevice, openDevice, use } from '@open-claw/core/face';
import { failure } from '@open-claw/core/internal';
import { type DeviceOptions, useFamilyOf, usePlugins } from '../devices/plugins.js';
import type { Model } from '../model/model.js';
import { type LoadModelOptions, makeModel, reach } from '../model/options.js';
import { ownVersion } from '../version.js';
import { type Bundle, checkVersion, readBundle, sourceHash } from './bundle.js';

/**
 * A bundle has its device, sizes and precision from when it was made. Throws OC-BUNDLE-01 … 03.
 * It holds machine code: whoever made it decides what runs here.
 */
export async function loadBundle(
  bytes: Uint8Array,
  options: LoadModelOptions & DeviceOptions,
): Promise<Model> {
  const bundle = readBundle(bytes);
  checkVersion(bundle, ownVersion());
  reach('device', options);
  const opened = sealed(await openFor(bundle, options), bundle);
  const { sizes, precision, name } = bundle;
  const memory = options.memory ?? opened.found.target.memoryBytes;
  const backend = { kind: 'device' as const, opened, skipped: [] };
  return makeModel(bundle.proto, backend, { ...options, sizes, precision, memory }, name);
}

async function openFor(bundle: Bundle, options: DeviceOptions): Promise<OpenDevice> {
  const { plugin, runtime, target } = bundle;
  await usePlugins(options);
  if (plugin === 'native' && runtime !== undefined) {
    const { nativeDevice } = await import('@open-claw/device-native');
    const { threads } = options;
    use(nativeDevice({ runtime, ...(threads === undefined ? {} : { threads }) }));
  } else await useFamilyOf(plugin);
  return openDevice(target.id);
}

/** The device with the facts that the bundle was planned for, and its kernels for a compiler. */
function sealed(opened: OpenDevice, { target, binaries }: Bundle): OpenDevice {
  const compile: OpenDevice['plugin']['compile'] = async (source) => {
    const binary = binaries.get(sourceHash(source));
    if (binary === undefined) throw failure('OC-BUNDLE-03', {}, { kind: 'refused' });
    return binary;
  };
  return { ...opened, target, plugin: { ...opened.plugin, compile } };
}
