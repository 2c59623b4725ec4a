/** Where tensors are computed: the device that the user chose, or the first that is there. */
import { isFailure } from '../base/errors.js';
import {
  type OpenDevice,
  openDevice,
  openedDevice,
  preferredDevices,
} from '../runtime/registry.js';
import { misuse } from './where.js';

/** The reference as a device: no chip, plain loops. Only by name, never by default. */
export const interpreterName = 'interpreter';

let chosen: string | undefined;
let first: string | undefined;

/** Computes tensors on this device from now on; undefined: on the first that is found. */
export function setDevice(id: string | undefined): void {
  chosen = id;
  first = undefined;
}

/** The device for a computation; undefined is the interpreter. Throws OC-TENSOR-07. */
export async function deviceFor(id: string | undefined): Promise<OpenDevice | undefined> {
  const wanted = id ?? chosen ?? first ?? (await firstDevice());
  if (id === undefined && chosen === undefined) first = wanted;
  if (wanted === interpreterName) return undefined;
  try {
    return await openDevice(wanted);
  } catch (error) {
    if (isFailure(error)) first = undefined;
    throw error;
  }
}

/** The device that `deviceFor` gives, where it is open already and no interpreter. */
export function deviceNow(id: string | undefined): OpenDevice | undefined {
  const wanted = id ?? chosen ?? first;
  return wanted === undefined || wanted === interpreterName ? undefined : openedDevice(wanted);
}

async function firstDevice(): Promise<string> {
  for await (const id of preferredDevices()) return id;
  throw misuse('OC-TENSOR-07');
}
