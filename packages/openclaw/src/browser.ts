/** Front door in the browser: the WebAssembly device and no interface of Node. */
import { plugins, use } from '@open-claw/core/face';
import { plugin as wasmPlugin } from '@open-claw/device-wasm';
import { openBackend } from './devices/choose.js';
import { fetchBytes } from './model/fetch.js';
import type { Model } from './model/model.js';
import { type LoadModelOptions, makeModel, parseModel, reach } from './model/options.js';

export * from '@open-claw/core/face';
export {
  Model,
  type ModelApplyOptions,
  type ModelInputs,
  type ModelOutputs,
  type ModelRunOptions,
  type ModelTensors,
} from './model/model.js';
export type { Level, LoadModelOptions, LoadProgress, Precision } from './model/options.js';
export type { ModelPort, Sizes } from './model/ports.js';
export type { InputValue } from './model/values.js';

export interface BrowserOptions extends LoadModelOptions {
  /** Ids in order of preference, with commas between. */
  readonly device?: string;
}

/** Loads an ONNX model from bytes, or from an address that the caller names. */
export async function loadModel(
  source: Uint8Array | ArrayBuffer | URL | string,
  options: BrowserOptions = {},
): Promise<Model> {
  reach('read', options);
  const name = source instanceof URL || typeof source === 'string' ? String(source) : 'model';
  const proto = parseModel(await bytesOf(source, options.signal), options, name);
  reach('device', options);
  if (!plugins().some((plugin) => plugin.name === 'wasm')) use(wasmPlugin);
  const ids = (options.device ?? '').split(',').filter((id) => id !== '');
  return makeModel(proto, await openBackend(ids), options, name);
}

async function bytesOf(
  source: Uint8Array | ArrayBuffer | URL | string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  // Relative addresses are taken from the page.
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  return fetchBytes(new URL(source, location?.href), signal);
}
