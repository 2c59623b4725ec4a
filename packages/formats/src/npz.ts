/** NumPy .npz archives: a zip of .npy files. */
import type { ArchiveLimits } from './archive/limits.js';
import { readZip } from './archive/zip.js';
import type { HostTensor } from './base/core.js';
import { readNpy } from './npy.js';

/** The arrays by name ('.npy' taken off), in the archive's order. Errors: OC-ZIP, OC-NPY. */
export function readNpz(
  bytes: Uint8Array,
  limits: Partial<ArchiveLimits> = {},
  fileName = 'arrays.npz',
): ReadonlyMap<string, HostTensor> {
  const arrays = new Map<string, HostTensor>();
  for (const entry of readZip(bytes, limits, fileName)) {
    const name = entry.name.replace(/\.npy$/, '');
    arrays.set(name, readNpy(entry.read(), `${fileName}: ${entry.name}`));
  }
  return arrays;
}
