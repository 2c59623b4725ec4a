/** The folder of compiled kernels of the CPU. */
import { type Cache, openCache as openFamily } from '@open-claw/kernel-cache';

export { type Cache, hashOf } from '@open-claw/kernel-cache';

/** See kernel-cache; `folder` is the one above. */
export const openCache = (folder?: string): Cache =>
  openFamily({ family: 'native', suffix: 'so', folder });
