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
  read,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from '@open-claw/core/graph';
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
const readLater = promisify(read);

/**
 * Reads, validates and completes the model at `path`: all external tensors are loaded.
 * Errors: those of `readModel` and `validateModel`; OC-ONNX-12 … 17 for external data.
 */
export function readModelFile(path: string, options: ModelFileOptions = {}): ModelProto {
  const { real, name, limit } = placeOf(path, options);
  return completed(readWhole(real, name, limit), real, name, options);
}

/** As `readModelFile`; the model's own file is read beside what this thread does. */
export async function readModelFileAside(
  path: string,
  options: ModelFileOptions = {},
): Promise<ModelProto> {
  const { real, name, limit } = placeOf(path, options);
  return completed(await readWholeAside(real, name, limit), real, name, options);
}

function placeOf(
  path: string,
  { limits = {} }: ModelFileOptions,
): { readonly real: string; readonly name: string; readonly limit: number } {
  // The model itself may be a link: the user named it. Its data files are named by the model.
  const real = resolveModel(path);
  return { real, name: basename(path), limit: limits.bytes ?? defaultReadLimits.bytes };
}

function completed(
  bytes: Uint8Array,
  real: string,
  name: string,
  { limits = {}, externalBytes = defaultExternalBytes, opsets }: ModelFileOptions,
): ModelProto {
  const model = readModel(bytes, limits, name, true);
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

/** A file that was looked at and opened, and the bytes that it will fill. */
interface OpenFile {
  readonly descriptor: number;
  readonly bytes: Uint8Array;
  /** Throws where the file is no longer what it was. */
  readonly checkUnchanged: () => void;
  readonly changed: () => Error;
}

/**
 * Looks at a file, opens it once without following links, and compares: a file that was swapped or
 * changed in between is refused (OC-ONNX-17).
 */
function openWhole(
  path: string,
  location: string,
  limit: number,
  check: (facts: Stats) => void = () => {},
  folder?: string,
): OpenFile {
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
    const checkUnchanged = (): void => {
      if (!sameFile(facts, fstatSync(descriptor))) throw changed();
    };
    return { descriptor, bytes: allocate(facts.size, location), checkUnchanged, changed };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function readWhole(...place: Parameters<typeof openWhole>): Uint8Array {
  const { descriptor, bytes, checkUnchanged, changed } = openWhole(...place);
  try {
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(descriptor, bytes, at, Math.min(readStep, bytes.length - at), at);
      if (count === 0) throw changed();
      at += count;
    }
    checkUnchanged();
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/** Bytes of one of several calls that read a file side by side. */
const pieceBytes = 2 ** 24;

async function readWholeAside(...place: Parameters<typeof openWhole>): Promise<Uint8Array> {
  const { descriptor, bytes, checkUnchanged, changed } = openWhole(...place);
  const readPiece = async (start: number): Promise<void> => {
    const end = Math.min(start + pieceBytes, bytes.length);
    for (let at = start; at < end; ) {
      const { bytesRead } = await readLater(descriptor, bytes, at, end - at, at);
      if (bytesRead === 0) throw changed();
      at += bytesRead;
    }
  };
  try {
    const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
      readPiece(i * pieceBytes),
    );
    // None may write or use the descriptor after this has ended.
    const ends = await Promise.allSettled(pieces);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    checkUnchanged();
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
