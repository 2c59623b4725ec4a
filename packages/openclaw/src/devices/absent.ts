/** A plug-in that stands for one that could not be loaded, so that `claw devices` says why. */

import { failure } from '@open-claw/core/device/contract';
import type { DevicePlugin } from '@open-claw/core/face';

export function absentPlugin(name: string, reason: string, fix: string): DevicePlugin {
  const missing = (): Error =>
    failure('OC-DEVICE-06', { id: name }, { kind: 'unavailable', where: reason });
  return {
    contract: 1,
    name,
    targets: [],
    language: {
      name,
      emit() {
        throw missing();
      },
    },
    probe: async () => [{ id: name, reason, fix }],
    compile: async () => {
      throw missing();
    },
    open: async () => {
      throw missing();
    },
  };
}
