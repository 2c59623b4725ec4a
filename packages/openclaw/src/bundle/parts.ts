/** Types of the device contract under short names. */
import type { DevicePlugin } from '@open-claw/core/face';

export type Source = Parameters<DevicePlugin['compile']>[0];
export type Binary = Awaited<ReturnType<DevicePlugin['compile']>>;
