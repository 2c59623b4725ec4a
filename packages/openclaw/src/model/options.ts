/** Options of loading that every platform shares, and the part of the work that is the same. */
import { type Fallback, type Precision, precisions, type Tuning } from '@open-claw/core/face';
import { failure, refused } from '@open-claw/core/graph';
import {
  loadExternalData,
  type ModelProto,
  type ReadLimits,
  readModel,
  validateModel,
} from '@open-claw/formats';
import type { Backend } from '../devices/choose.js';
import { Model } from './model.js';
import type { Sizes } from './ports.js';

export type { Precision };
export type Level = 'default' | 'exact';

export interface LoadModelOptions {
  /**
   * Accuracy of f32 contractions. A device may always be more accurate than asked for: those that
   * have no faster unit compute `high` and `fast` as `highest`.
   */
  readonly precision?: Precision;
  /** Measured choices, see `claw tune`; the defaults where absent. */
  readonly tuning?: Tuning;
  /** `exact` is refused by devices that do not claim it. */
  readonly level?: Level;
  /** Limits on the file itself. */
  readonly limits?: Partial<ReadLimits>;
  /** Most bytes of device memory. */
  readonly memory?: number;
  /** Numbers for sizes: by their name in the file, or `input.axis` where a size has no name. */
  readonly sizes?: Sizes;
  /** Stops loading between its stages. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Content of external data files by location, where the model is given as bytes. */
  readonly externalData?: (location: string) => Uint8Array;
}

export interface LoadProgress {
  readonly stage: 'read' | 'device' | 'compile' | 'ready';
  /** Stages that are over, and all of them. */
  readonly done: number;
  readonly total: number;
}

const stages = ['read', 'device', 'compile', 'ready'] as const;

export function reach(stage: LoadProgress['stage'], options: LoadModelOptions): void {
  if (options.signal?.aborted === true) {
    throw failure('OC-DEVICE-05', {}, { cause: options.signal.reason });
  }
  options.onProgress?.({ stage, done: stages.indexOf(stage), total: stages.length - 1 });
}

/** Parses, validates and completes a model given as bytes. */
export function parseModel(
  bytes: Uint8Array,
  { limits = {}, externalData }: LoadModelOptions,
  fileName = 'model',
): ModelProto {
  const proto = readModel(bytes, limits, fileName);
  validateModel(proto, { fileName, limits });
  const read = externalData ?? noExternalData;
  return loadExternalData(proto, read, fileName);
}

const noExternalData = (location: string): Uint8Array => {
  const reason = 'the model was given as bytes, without `externalData`';
  throw failure('OC-ONNX-15', { location, reason }, { kind: 'usage' });
};

/** Compiles a parsed model for a device. */
export async function makeModel(
  proto: ModelProto,
  backend: Backend,
  options: LoadModelOptions,
  fileName?: string,
): Promise<Model> {
  checkPolicies(options);
  reach('compile', options);
  const { sizes, memory, precision, tuning } = options;
  const model = await Model.create(proto, backend, {
    ...(sizes === undefined ? {} : { sizes }),
    ...(memory === undefined ? {} : { memory }),
    ...(precision === undefined ? {} : { precision }),
    ...(tuning === undefined ? {} : { tuning }),
    ...(fileName === undefined ? {} : { fileName }),
  });
  reach('ready', options);
  return model;
}

/** Throws OC-USAGE-01 for words that are none, OC-REFUSED-01 for the level that none claims. */
export function checkPolicies({
  precision = 'highest',
  level = 'default',
}: LoadModelOptions): void {
  if (!precisions.includes(precision)) {
    const reason = `precision is ${precisions.join(', ')}, not ${precision}`;
    throw failure('OC-USAGE-01', { reason }, { kind: 'usage' });
  }
  if (level === 'exact') throw refused('level exact', 'no device here claims it');
  if (level !== 'default') {
    const reason = `level is default or exact, not ${level}`;
    throw failure('OC-USAGE-01', { reason }, { kind: 'usage' });
  }
}

export type { Fallback };
