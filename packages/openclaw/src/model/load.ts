/** Loads a model from bytes, a file or an address, on Node. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failure } from '@open-claw/core/internal';
import { type ModelProto, validateModel } from '@open-claw/formats';
import { readModelFile } from '@open-claw/formats/node';
import { openBackend } from '../devices/choose.js';
import { type DeviceOptions, usePlugins, wantedIds } from '../devices/plugins.js';
import { applyEnvironment } from '../environment.js';
import { fetchBytes } from './fetch.js';
import type { Model } from './model.js';
import { type LoadModelOptions, makeModel, parseModel, reach } from './options.js';

export type ModelSource = Uint8Array | string | URL;

/**
 * Loads an ONNX model: bytes, a path, or a file:, http: or https: address (the only way in which
 * OpenCLAW uses the network). Runs on the first device of `device` that is there; without it on
 * CLAW_DEVICE, else on the fastest found. External data beside a file is read with it.
 */
export async function loadModel(
  source: ModelSource,
  options: LoadModelOptions & DeviceOptions = {},
): Promise<Model> {
  applyEnvironment();
  reach('read', options);
  const { proto, name } = await readSource(source, options);
  reach('device', options);
  await usePlugins(options);
  const backend = await openBackend(wantedIds(options));
  return makeModel(proto, backend, options, name);
}

export interface SourceModel {
  readonly proto: ModelProto;
  readonly name: string;
}

/** Reads without compiling. Throws OC-USAGE-06 where there is no such file. */
export async function readSource(
  source: ModelSource,
  options: LoadModelOptions = {},
): Promise<SourceModel> {
  if (source instanceof Uint8Array) {
    return { proto: parseModel(source, options), name: 'model' };
  }
  const address = addressOf(source);
  if (address !== undefined && address.protocol !== 'file:') {
    const bytes = await fetchBytes(address, options.signal);
    const name = basename(address.pathname);
    return { proto: parseModel(bytes, options, name), name };
  }
  const path = address === undefined ? String(source) : fileURLToPath(address);
  return readPath(path, options);
}

function readPath(path: string, options: LoadModelOptions): SourceModel {
  const name = basename(path);
  const { limits, externalData } = options;
  if (!existsSync(path)) {
    throw failure('OC-USAGE-06', { path }, { kind: 'usage' });
  }
  if (externalData !== undefined) {
    return { proto: parseModel(new Uint8Array(readFileSync(path)), options, name), name };
  }
  const proto = readModelFile(path, limits === undefined ? {} : { limits });
  validateModel(proto, { fileName: name });
  return { proto, name };
}

/** An address only where the text has a scheme that is one: `C:\model.onnx` is a path. */
function addressOf(source: string | URL): URL | undefined {
  if (source instanceof URL) return source;
  return /^(https?|file):\/\//.test(source) ? new URL(source) : undefined;
}
