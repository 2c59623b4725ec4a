/** Reads a suite of ONNX backend cases: a folder, or an archive .tar or .tar.gz. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { failure } from '@open-claw/core/internal';
import { gunzip, isGzip, readTar } from '@open-claw/formats';

export interface SuiteFiles {
  readonly name: string;
  /** Of the archive; of a folder, over its paths and contents in order. */
  readonly sha256: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const wanted = /(model\.onnx|\.pb|INDEX\.json)$/;

/** Throws OC-USAGE-03 where `path` cannot be read, and what the archive's reader throws. */
export function readSuite(path: string): SuiteFiles {
  try {
    return statSync(path).isDirectory() ? readFolder(path) : readArchive(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'syscall' in error)) throw error;
    const details = { path, reason: String(error.code) };
    throw failure('OC-USAGE-03', details, { kind: 'usage', cause: error });
  }
}

function readArchive(path: string): SuiteFiles {
  const bytes = new Uint8Array(readFileSync(path));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const files = readTar(isGzip(bytes) ? gunzip(bytes) : bytes);
  return { name: basename(path), sha256, files };
}

function readFolder(path: string): SuiteFiles {
  const hash = createHash('sha256');
  const files = new Map<string, Uint8Array>();
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of entries) {
    const bytes = new Uint8Array(readFileSync(file));
    const inside = file.slice(path.length).split('\\').join('/');
    hash.update(`${inside}\0${bytes.length}\0`).update(bytes);
    // A case is named by its last two folders, so a suite's own folder counts.
    files.set(`${basename(path)}${inside.startsWith('/') ? '' : '/'}${inside}`, bytes);
  }
  return { name: basename(path), sha256: hash.digest('hex'), files };
}
