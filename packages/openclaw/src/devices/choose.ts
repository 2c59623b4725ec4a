/** Chooses and opens the device that work runs on. */
import {
  type Evidence,
  type Fallback,
  isFailure,
  type OpenDevice,
  openDevice,
  preferredDevices,
} from '@open-claw/core/face';

/** Where a model runs: a device, or the interpreter, which defines every operation. */
export type Backend =
  | { readonly kind: 'interpreter'; readonly skipped: readonly Fallback[] }
  | {
      readonly kind: 'device';
      readonly opened: OpenDevice;
      /** Devices that were wished for and are not there. */
      readonly skipped: readonly Fallback[];
    };

export interface BackendFacts {
  readonly device: string;
  readonly driver: string;
  readonly evidence: Evidence;
}

export function factsOf(backend: Backend): BackendFacts {
  if (backend.kind === 'interpreter') {
    return { device: 'interpreter', driver: 'none', evidence: 'none' };
  }
  const { id, found, evidence } = backend.opened;
  return { device: id, driver: found.driver, evidence };
}

/** Opens the first of the ids that is there; all others before it are told in `skipped`. */
export async function openBackend(ids: readonly string[]): Promise<Backend> {
  const wanted = ids.length > 0 ? ids : preferredDevices();
  const skipped: Fallback[] = [];
  let first: unknown;
  for await (const id of wanted) {
    if (id === 'interpreter') return { kind: 'interpreter', skipped };
    try {
      return { kind: 'device', opened: await openDevice(id), skipped };
    } catch (error) {
      if (!isFailure(error) || !['unavailable', 'refused'].includes(error.kind)) throw error;
      first ??= error;
      const reason = error.where === '' ? error.what : `${error.what}: ${error.where}`;
      skipped.push({ op: 'device', node: id, reason });
    }
  }
  throw first;
}

/**
 * The device with addresses of 64 bits, where it was not chosen by a row's name and an error says
 * that a model needs more memory than others reach. Undefined where that is not so.
 */
export async function withWiderAddresses(
  backend: Backend,
  error: unknown,
): Promise<Backend | undefined> {
  if (backend.kind !== 'device' || !isFailure(error) || error.code !== 'OC-MEMORY-01') return;
  const { id, plugin, target } = backend.opened;
  const need = Number(error.details['need']);
  if (id.includes('/') || need <= target.memoryBytes) return;
  const rows = plugin.targets.filter(
    (row) => row.addressBits === 64 && target.addressBits !== 64 && row.memoryBytes >= need,
  );
  for (const row of rows.toReversed()) {
    try {
      const opened = await openDevice(row.id);
      const narrow = { op: 'device', node: id, reason: error.what };
      return { kind: 'device', opened, skipped: [...backend.skipped, narrow] };
    } catch (cause) {
      if (!isFailure(cause) || cause.kind !== 'unavailable') throw cause;
    }
  }
  return;
}
