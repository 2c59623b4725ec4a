/** Bounds and name rules shared by the archive readers. */
import { failure } from '../base/core.js';
import { shortName } from '../base/text.js';

export interface ArchiveLimits {
  /** Bytes of all entries together, unpacked. */
  readonly bytes: number;
  readonly entries: number;
}

export const defaultArchiveLimits: ArchiveLimits = { bytes: 2 ** 31 - 1, entries: 100_000 };

/** The entry's name without './'; refuses names that could leave a folder. Errors: OC-ZIP-02. */
export function safeEntryName(name: string, archive: string): string {
  const parts = name.split('/').filter((part) => part !== '.');
  const problem =
    name === '' || name.includes('\0')
      ? 'it is empty or holds NUL'
      : name.startsWith('/') || /^[A-Za-z]:/.test(name)
        ? 'it is absolute'
        : name.includes('\\')
          ? 'it holds a backslash'
          : parts.includes('..')
            ? 'it leaves the archive'
            : null;
  if (problem === null) return parts.join('/');
  const details = { name: shortName(name), reason: problem };
  throw failure('OC-ZIP-02', details, { where: shortName(archive) });
}
