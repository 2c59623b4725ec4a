/**
 * The folder of compiled kernels: private to its user, files named by the hash of their content,
 * and the hash checked before a file is handed out.
 */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from '@open-claw/core/device/contract';

export interface Cache {
  readonly folder: string;
  /** The content stored under a key; undefined where there is none or it was changed. */
  find(key: string): readonly Uint8Array[] | undefined;
  keep(key: string, parts: readonly Uint8Array[]): void;
  /** Path of a file with this content, written if need be, checked if it was there. */
  fileOf(content: Uint8Array): string;
}

// An import would load parts of it that nobody here uses.
const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');

export const hashOf = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = crypto().createHash('sha256');
  // Lengths keep two lists of parts with the same concatenation apart.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
};

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Why a folder may not hold code of this user; undefined where it may. */
function objection(folder: string): string | undefined {
  const facts = lstatSync(folder);
  if (!facts.isDirectory()) return 'it is no folder';
  if (process.getuid !== undefined && facts.uid !== process.getuid()) {
    return 'it belongs to another user';
  }
  if ((facts.mode & 0o077) !== 0) {
    return `others may use it (mode ${(facts.mode & 0o777).toString(8)})`;
  }
  return undefined;
}

/** A folder for this process alone, used where no lasting one can be made. */
function temporaryFolder(reason: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'openclaw-'));
  process.emitWarning(`compiled kernels are kept in ${folder} for this run only: ${reason}`, {
    code: 'OC-NATIVE-01',
  });
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface CacheOptions {
  /** Name of the device's own folder: lower-case letters and digits. */
  readonly family: string;
  /** What the names of compiled kernels end with, as `so`. */
  readonly suffix: string;
  /** The folder above; CLAW_CACHE, else ~/.cache/openclaw where absent. */
  readonly folder?: string | undefined;
  /** Entries that are kept; the oldest go first. All where absent. */
  readonly most?: number;
}

/**
 * The folder for compiled kernels of a family of devices. Throws OC-NATIVE-01 where it is somebody
 * else's or open to others; takes a temporary one, with a warning, where it cannot be made.
 */
export function openCache({ family, suffix, folder: wanted, most }: CacheOptions): Cache {
  const base = wanted ?? process.env['CLAW_CACHE'] ?? join(homedir(), '.cache', 'openclaw');
  let folder = join(base, family);
  for (const path of [base, folder]) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') {
        folder = temporaryFolder(`${path}: ${codeOf(error)}`);
        break;
      }
    }
    const reason = objection(path);
    if (reason !== undefined) throw failure('OC-NATIVE-01', { path, reason });
  }
  return cacheIn(folder, suffix, most);
}

function cacheIn(folder: string, suffix: string, most?: number): Cache {
  const read = (name: string): Uint8Array | undefined => {
    try {
      const path = join(folder, name);
      return lstatSync(path).isFile() ? readFileSync(path) : undefined;
    } catch {
      return undefined;
    }
  };
  const checked = (hash: string): Uint8Array | undefined => {
    if (!/^[0-9a-f]{64}$/.test(hash)) return undefined;
    const content = read(`${hash}.${suffix}`);
    if (content !== undefined && hashOf(content) === hash) return content;
    if (content !== undefined) rmSync(join(folder, `${hash}.${suffix}`), { force: true });
    return undefined;
  };
  const fileOf = (content: Uint8Array): string => {
    const hash = hashOf(content);
    if (checked(hash) === undefined) writeWhole(folder, `${hash}.${suffix}`, content);
    return join(folder, `${hash}.${suffix}`);
  };
  return {
    folder,
    fileOf,
    find(key) {
      const index = read(`${key}.index`);
      if (index === undefined) return undefined;
      const parts = Buffer.from(index).toString('latin1').trim().split('\n').map(checked);
      return parts.every((part) => part !== undefined) ? parts : undefined;
    },
    keep(key, parts) {
      if (most !== undefined) makeRoom(folder, most);
      for (const part of parts) fileOf(part);
      writeWhole(folder, `${key}.index`, Buffer.from(parts.map((p) => hashOf(p)).join('\n')));
    },
  };
}

/** Forgets the oldest quarter of a full folder; files that nothing names any more go with it. */
function makeRoom(folder: string, most: number): void {
  // An entry is an index and what it names.
  const names = readdirSync(folder);
  if (names.length < 2 * most) return;
  const aged = names.flatMap((name) => {
    try {
      return [{ name, time: lstatSync(join(folder, name)).mtimeMs }];
    } catch {
      return [];
    }
  });
  aged.sort((a, b) => a.time - b.time);
  for (const { name } of aged.slice(0, Math.ceil(names.length / 4))) {
    rmSync(join(folder, name), { force: true });
  }
}

/** Writes beside and renames, so that no reader sees half a file. */
function writeWhole(folder: string, name: string, content: Uint8Array): void {
  const path = join(folder, name);
  const beside = `${path}.${crypto().randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(beside, content, { mode: 0o600, flag: 'wx' });
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw failure('OC-NATIVE-02', { path: folder, reason: codeOf(error) }, { cause: error });
  }
}
