/**
 * Model files from disk, on Node: the one place of this package that opens paths. External data is
 * read only from inside the model's own folder, never through a link.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failure } from '@open-claw/core/internal';
import {
  defaultReadLimits,
  loadExternalData,
  locationProblem,
  type ModelProto,
  type ReadLimits,
  readModel,
  type ValidateOptions,
  validateModel,
} from '../index.js';

export interface ModelFileOptions {
  readonly limits?: Partial<ReadLimits>;
  readonly opsets?: NonNullable<ValidateOptions['opsets']>;
  /** Largest external data file in bytes. */
  readonly externalBytes?: number;
}

const defaultExternalBytes = 2 ** 40;
/** One read call of Node takes at most 2^31 − 1 bytes. */
const readStep = 2 ** 30;

/**
 * Reads, validates and completes the model at `path`: all external tensors are loaded.
 * Errors: those of `readModel` and `validateModel`; OC-ONNX-12 … 17 for external data.
 */
export function readModelFile(path: string, options: ModelFileOptions = {}): ModelProto {
  const { limits = {}, externalBytes = defaultExternalBytes } = options;
  const name = basename(path);
  // The model itself may be a link: the user named it. Its data files are named by the model.
  const real = resolveModel(path);
  const bytes = readWhole(real, name, limits.bytes ?? defaultReadLimits.bytes);
  const model = readModel(bytes, limits, name);
  const { opsets } = options;
  validateModel(model, { fileName: name, limits, ...(opsets === undefined ? {} : { opsets }) });
  const folder = dirname(real);
  return loadExternalData(model, (each) => readBeside(folder, each, externalBytes), name);
}

function resolveModel(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw unreadable(basename(path), cause);
  }
}

function unreadable(location: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  const reason = code === 'ENOENT' ? 'there is no such file' : code;
  return failure('OC-ONNX-15', { location, reason }, { where: location, cause });
}

/**
 * The bytes of a file inside `folder`. Every folder on the way and the file itself must not be a
 * link, and the file must not have a second name (hard link), which could stand elsewhere.
 */
export function readBeside(folder: string, location: string, limit: number): Uint8Array {
  const refuse = (reason: string): Error =>
    failure('OC-ONNX-16', { location, reason }, { where: location });
  const problem = locationProblem(location);
  if (problem !== null) throw refuse(problem);
  const parts = location.split('/').filter((part) => part !== '' && part !== '.');
  let at = folder;
  for (const part of parts.slice(0, -1)) {
    at = join(at, part);
    const facts = factsOf(at, location);
    if (facts.isSymbolicLink()) throw refuse('a folder on the way is a symbolic link');
    if (!facts.isDirectory()) throw refuse('a folder on the way is not a folder');
  }
  return readWhole(
    join(at, parts.at(-1) ?? ''),
    location,
    limit,
    (facts) => {
      if (facts.isSymbolicLink()) throw refuse('it is a symbolic link');
      if (facts.nlink > 1) throw refuse('it is a hard link, the same file has another name');
    },
    folder,
  );
}

function factsOf(path: string, location: string): Stats {
  try {
    return lstatSync(path);
  } catch (cause) {
    throw unreadable(location, cause);
  }
}

/**
 * Looks at a file, opens it once without following links, and compares: a file that was swapped or
 * changed in between is refused (OC-ONNX-17).
 */
function readWhole(
  path: string,
  location: string,
  limit: number,
  check: (facts: Stats) => void = () => {},
  folder?: string,
): Uint8Array {
  const before = factsOf(path, location);
  check(before);
  const notFile = (): Error =>
    failure('OC-ONNX-16', { location, reason: 'it is not a file' }, { where: location });
  // A pipe or device would block or never end.
  if (!before.isFile()) throw notFile();
  const changed = (): Error => failure('OC-ONNX-17', { location }, { where: location });
  let descriptor: number;
  try {
    // Absent on Windows, where the comparison below has to do.
    const noFollow = constants.O_NOFOLLOW ?? 0;
    const noBlock = constants.O_NONBLOCK ?? 0;
    descriptor = openSync(path, constants.O_RDONLY | noFollow | noBlock);
  } catch (cause) {
    throw unreadable(location, cause);
  }
  try {
    const facts = fstatSync(descriptor);
    check(facts);
    if (!sameFile(before, facts)) throw changed();
    // A folder swapped for a link after it was looked at shows in the real path.
    if (folder !== undefined && openedPath(descriptor, path) !== path) throw changed();
    if (facts.size > limit) {
      throw failure('OC-PB-09', { what: 'bytes', count: facts.size, limit }, { where: location });
    }
    const bytes = allocate(facts.size, location);
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(descriptor, bytes, at, Math.min(readStep, bytes.length - at), at);
      if (count === 0) throw changed();
      at += count;
    }
    if (!sameFile(facts, fstatSync(descriptor))) throw changed();
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/** The path of the file that is really open; elsewhere than on Linux, of what stands at `path`. */
function openedPath(descriptor: number, path: string): string {
  if (process.platform !== 'linux') return realpathSync(path);
  return readlinkSync(`/proc/self/fd/${descriptor}`);
}

function allocate(size: number, location: string): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    const reason = `no memory for ${size} bytes`;
    const options = { where: location, kind: 'transient', retry: 'smaller', cause } as const;
    throw failure('OC-ONNX-15', { location, reason }, options);
  }
}

function sameFile(left: Stats, right: Stats): boolean {
  return (
    left.dev === right.dev &&
    left.ino === right.ino &&
    left.size === right.size &&
    left.mtimeMs === right.mtimeMs
  );
}
