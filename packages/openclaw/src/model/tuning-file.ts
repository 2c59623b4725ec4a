/** Measured choices in a file: by program, target and driver, so that one file serves many. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Tuning } from '@open-claw/core/face';
import { failure } from '@open-claw/core/graph';
import { type ModelProto, mapTensors, writeModel } from '@open-claw/formats';
import type { Backend } from '../devices/choose.js';
import type { LoadModelOptions } from './options.js';

export interface TuningEntry {
  /** SHA-256 of the model without its weights, its sizes and its precision. */
  readonly program: string;
  readonly target: string;
  readonly cores: number;
  readonly driver: string;
  readonly tuning: Tuning;
}

export interface TuningFile {
  readonly schema: 1;
  readonly kind: 'tuning';
  readonly entries: readonly TuningEntry[];
}

const mostFileBytes = 2 ** 26;
/** Weights change no choice; small tensors are shapes and axes. */
const leastWeightBytes = 1024;

type Identity = Omit<TuningEntry, 'tuning'>;

/** What choices are kept by. Undefined for the interpreter. */
export function identityOf(
  proto: ModelProto,
  backend: Backend,
  { sizes = {}, precision = 'highest' }: LoadModelOptions,
): Identity | undefined {
  if (backend.kind === 'interpreter') return undefined;
  const { target, found } = backend.opened;
  const structure = mapTensors(proto, (tensor) => {
    const { rawData } = tensor;
    const isWeight = rawData !== undefined && rawData.length >= leastWeightBytes;
    return isWeight ? { ...tensor, rawData: new Uint8Array(0) } : tensor;
  });
  const names = Object.keys(sizes).sort();
  const settings = JSON.stringify([names.map((name) => [name, sizes[name]]), precision]);
  const hash = createHash('sha256').update(writeModel(structure)).update(settings);
  const { id, cores } = target;
  return { program: hash.digest('hex'), target: id, cores, driver: found.driver };
}

/** Throws OC-USAGE-06 where there is no such file, OC-USAGE-03 where it holds no tuning. */
export function readTuningFile(path: string): TuningFile {
  if (!existsSync(path)) throw failure('OC-USAGE-06', { path }, { kind: 'usage' });
  const unreadable = (reason: string): Error =>
    failure('OC-USAGE-03', { path, reason }, { kind: 'usage' });
  const bytes = readFileSync(path);
  if (bytes.length > mostFileBytes) throw unreadable('it is too long');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw unreadable('it is no JSON');
  }
  if (!isTuningFile(value)) throw unreadable('it is no file of `claw tune`');
  return value;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isTuningFile(value: unknown): value is TuningFile {
  if (!isObject(value) || value['schema'] !== 1 || value['kind'] !== 'tuning') return false;
  const { entries } = value;
  return Array.isArray(entries) && entries.every(isEntry);
}

function isEntry(value: unknown): value is TuningEntry {
  if (!isObject(value) || !Number.isSafeInteger(value['cores'])) return false;
  const { program, target, driver, tuning } = value;
  const isNamed = [program, target, driver].every((each) => typeof each === 'string');
  const isChoice = (choice: unknown): boolean =>
    isObject(choice) && Object.values(choice).every((each) => typeof each === 'number');
  return isNamed && isObject(tuning) && Object.values(tuning).every(isChoice);
}

const isSame = (a: Identity, b: Identity): boolean =>
  a.program === b.program && a.target === b.target && a.cores === b.cores && a.driver === b.driver;

/** The file with this entry in place of an older one. */
export const withEntry = (file: TuningFile | undefined, entry: TuningEntry): TuningFile => ({
  schema: 1,
  kind: 'tuning',
  entries: [...(file?.entries ?? []).filter((each) => !isSame(each, entry)), entry],
});

/** Options with the choices of the file for this program here; unchanged where it has none. */
export function tunedOptions<T extends LoadModelOptions & { readonly tuningFile?: string }>(
  proto: ModelProto,
  backend: Backend,
  options: T,
): T {
  if (options.tuningFile === undefined) return options;
  const { entries } = readTuningFile(options.tuningFile);
  const identity = identityOf(proto, backend, options);
  const found = identity && entries.find((each) => isSame(each, identity));
  return found === undefined ? options : { ...options, tuning: found.tuning };
}
