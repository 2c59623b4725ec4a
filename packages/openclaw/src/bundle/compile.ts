/** Makes a bundle of a model for a target; no card is needed. */
import { compileOnce, type DevicePlugin, loadedPlugins, type Target } from '@open-claw/core';
import { failure } from '@open-claw/core/internal';
import { analyzeModel, importModel } from '@open-claw/formats';
import type { SourceModel } from '../model/load.js';
import { importOptionsOf } from '../model/model.js';
import { checkPolicies, type LoadModelOptions } from '../model/options.js';
import { ownVersion } from '../version.js';
import { sourceHash, writeBundle } from './bundle.js';
import type { Binary } from './parts.js';

export interface CompiledBundle {
  readonly bytes: Uint8Array;
  readonly kernels: number;
}

/** Throws what the importer, the compiler or the toolchain refuses, and OC-BUNDLE-04. */
export async function compileBundle(
  { proto, name }: SourceModel,
  target: Target,
  options: LoadModelOptions,
): Promise<CompiledBundle> {
  checkPolicies(options);
  const plugin = (await loadedPlugins()).find(({ targets }) =>
    targets.some(({ id }) => id === target.id),
  );
  if (plugin === undefined)
    throw failure('OC-BUNDLE-04', { target: target.id }, { kind: 'refused' });
  const { sizes = {}, precision = 'highest' } = options;
  const importOptions = importOptionsOf(proto, { sizes, fileName: name });
  const imported = analyzeModel(proto, importOptions);
  // What waits for values of inputs has no program yet: the importer says which values.
  if (imported.refusals.length > 0) importModel(proto, importOptions);
  const { overrides = [] } = plugin;
  const program = compileOnce(imported.graph, target, plugin.language, { overrides, precision });
  const binaries = new Map<string, Binary>();
  const { source } = program;
  if (source !== undefined) {
    binaries.set(sourceHash(source), await plugin.compile(source, target));
  }
  const runtime = await runtimeOf(plugin);
  const facts = { version: ownVersion(), plugin: plugin.name, target, name, sizes, precision };
  const bytes = writeBundle({ ...facts, proto, binaries, runtime });
  return { bytes, kernels: source?.entries.length ?? 0 };
}

/** The CPU's fixed part is compiled too. */
async function runtimeOf({ name }: DevicePlugin): Promise<Uint8Array | undefined> {
  if (name !== 'native') return undefined;
  const { runtimeLibrary } = await import('@open-claw/device-native');
  return runtimeLibrary();
}
