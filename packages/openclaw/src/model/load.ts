/** Loads a model from bytes, a file or an address, on Node. */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failure } from '@open-claw/core/graph';
import { type ModelProto, validateModel } from '@open-claw/formats';
import { readModelFileAside } from '@open-claw/formats/node';
import { type Backend, openBackend } from '../devices/choose.js';
import { type DeviceOptions, usePlugins, wantedIds } from '../devices/plugins.js';
import { applyEnvironment } from '../environment.js';
import { fetchBytes } from './fetch.js';
import type { Model } from './model.js';
import { type LoadModelOptions, makeModel, parseModel, reach } from './options.js';
import { tunedOptions } from './tuning-file.js';

export interface TuningOptions {
  /** A file of `claw tune`; a program that it does not hold runs with the defaults. */
  readonly tuningFile?: string;
}

export type ModelSource = Uint8Array | string | URL;

/**
 * Loads an ONNX model or a bundle of `claw compile`: bytes, a path, or a file:, http: or https:
 * address (the only way in which OpenCLAW uses the network). Runs on the first device of `device`
 * that is there; without it on CLAW_DEVICE, else on the fastest found. A bundle runs on its own,
 * from bytes or a file. External data beside a file is read with it.
 */
export async function loadModel(
  source: ModelSource,
  options: LoadModelOptions & DeviceOptions & TuningOptions = {},
): Promise<Model> {
  await applyEnvironment();
  reach('read', options);
  const bundle = await bundleBytes(source);
  if (bundle !== undefined) {
    const { loadBundle } = await import('../bundle/load.js');
    return loadBundle(bundle, options);
  }
  const reading = readSource(source, options);
  // The device opens while the file is read; a file that cannot be read is told first.
  reading.catch(() => {});
  const opening = openFor(options);
  opening.catch(() => {});
  const { proto, name } = await reading;
  reach('device', options);
  const backend = await opening;
  return makeModel(proto, backend, tunedOptions(proto, backend, options), name);
}

async function openFor(options: DeviceOptions): Promise<Backend> {
  await usePlugins(options);
  return openBackend(wantedIds(options));
}

/** The bytes of a source that has the mark of a bundle. */
async function bundleBytes(source: ModelSource): Promise<Uint8Array | undefined> {
  if (source instanceof Uint8Array) return hasMark(source) ? source : undefined;
  const address = addressOf(source);
  if (address !== undefined && address.protocol !== 'file:') return undefined;
  const path = address === undefined ? String(source) : fileURLToPath(address);
  if (!existsSync(path) || !statSync(path).isFile()) return undefined;
  const file = openSync(path, 'r');
  const start = new Uint8Array(bundleMark.length);
  try {
    readSync(file, start, 0, start.length, 0);
  } finally {
    closeSync(file);
  }
  return hasMark(start) ? new Uint8Array(readFileSync(path)) : undefined;
}

const bundleMark = 'CLAWBNDL';
const hasMark = (bytes: Uint8Array): boolean =>
  [...bundleMark].every((letter, i) => bytes[i] === letter.charCodeAt(0));

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

async function readPath(path: string, options: LoadModelOptions): Promise<SourceModel> {
  const name = basename(path);
  const { limits, externalData } = options;
  if (!existsSync(path)) {
    throw failure('OC-USAGE-06', { path }, { kind: 'usage' });
  }
  if (externalData !== undefined) {
    return { proto: parseModel(new Uint8Array(readFileSync(path)), options, name), name };
  }
  const proto = await readModelFileAside(path, limits === undefined ? {} : { limits });
  validateModel(proto, { fileName: name });
  return { proto, name };
}

/** An address only where the text has a scheme that is one: `C:\model.onnx` is a path. */
function addressOf(source: string | URL): URL | undefined {
  if (source instanceof URL) return source;
  return /^(https?|file):\/\//.test(source) ? new URL(source) : undefined;
}
