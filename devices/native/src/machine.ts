/** Facts about the machine this runs on, from the system and without a compiler. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Machine } from './targets.js';

/** Memory that this process may use: the machine's, or the limit of its container. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** Bytes that can be had now without swapping. */
export const freeBytes = (): number => Math.min(freemem(), thisMachine().memoryBytes);

export const modelName = (): string => cpus()[0]?.model.trim() || process.arch;

const cacheFolder = '/sys/devices/system/cpu/cpu0/cache';

/** Data-cache bytes of one core, nearest first; empty where the system does not say. */
function cacheBytes(): readonly number[] {
  try {
    // The system numbers them from the nearest on.
    const names = readdirSync(cacheFolder).filter((name) => name.startsWith('index'));
    return names.sort().flatMap((name) => {
      const read = (field: string) => readFileSync(join(cacheFolder, name, field), 'latin1').trim();
      if (read('type') === 'Instruction') return [];
      const size = read('size');
      const unit = { K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[size.at(-1) ?? ''] ?? 1;
      const bytes = Number.parseInt(size, 10) * unit;
      return bytes > 0 ? [bytes] : [];
    });
  } catch {
    return [];
  }
}

let known: Machine | undefined;

/** Looked at once: the machine stays what it is. */
export const thisMachine = (): Machine => {
  known ??= {
    cores: availableParallelism(),
    memoryBytes: memoryBytes(),
    cacheBytes: cacheBytes(),
  };
  return known;
};
