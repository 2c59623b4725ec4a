/** Compiled programs as files, in the folder of compiled kernels and as private as they are. */
import { keepPlans } from '@open-claw/core/face';
import { type Cache, hashOf, openCache } from '@open-claw/kernel-cache';

/** A plan takes some 100 kB. */
const mostPlans = 1024;
const mostBytes = 2 ** 24;

/**
 * Lets programs be found that an earlier process compiled. Where the folder cannot be used nothing
 * is kept: devices say why when they open theirs.
 */
export function usePlanFiles(): void {
  let opened: Cache | undefined;
  let isTried = false;
  const cache = (): Cache | undefined => {
    if (!isTried)
      opened = quietly(() => openCache({ family: 'plans', suffix: 'json', most: mostPlans }));
    isTried = true;
    return opened;
  };
  keepPlans({
    hashOf,
    textOf: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'),
    find: (key) => quietly(() => cache()?.find(key)),
    keep(key, parts) {
      if (parts.reduce((sum, { length }) => sum + length, 0) > mostBytes) return;
      const all = parts.map((part) =>
        typeof part === 'string' ? Buffer.from(part, 'utf8') : part,
      );
      quietly(() => cache()?.keep(key, all));
    },
  });
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
