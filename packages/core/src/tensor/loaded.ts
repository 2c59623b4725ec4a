/**
 * Loaded programs on tensors: values are used where they lie, and results stay there. Gives models
 * what `jit` gives functions.
 */
import type { HostTensor } from '../base/host-tensor.js';
import type { Resident } from '../runtime/pool.js';
import type { OpenDevice } from '../runtime/registry.js';
import { releaseResident, uploadResident } from '../runtime/resident.js';
import type { Executable, LoadedExecutable } from '../runtime/run.js';
import type { RunLimits } from '../runtime/session.js';
import { interpreterName } from './devices.js';
import { isSole, known, nodeOf, realizeAll } from './handle.js';
import { type Storage, storageOf } from './storage.js';
import { isTensor, Tensor } from './tensor.js';
import { misuse } from './where.js';

/** A program and where it was loaded; without a device it is the interpreter's. */
export type Loaded =
  | { readonly executable: LoadedExecutable; readonly opened: OpenDevice }
  | { readonly executable: Executable; readonly opened?: undefined };

export interface TensorRunOptions extends RunLimits {
  /**
   * Indices of inputs whose tensors are released, whether the run succeeds or not. Where nothing
   * else uses such a value, its memory becomes a result's as the program allows.
   */
  readonly donate?: readonly number[];
  /** Is told of each input that is copied from another device. */
  readonly onCopy?: (index: number, from: string) => void;
}

/**
 * Runs once and gives the results in order; they belong to the caller. Arrays of the host are
 * copied to the device, and may be reused once it has ended. Throws what `Executable.run` throws,
 * and OC-TENSOR-01 for a tensor that was released.
 */
export async function runOnTensors(
  loaded: Loaded,
  inputs: readonly (Tensor | HostTensor)[],
  options: TensorRunOptions = {},
): Promise<Tensor[]> {
  return runNow(loaded, inputs, options) ?? runLater(loaded, inputs, options);
}

/** Where all values lie on the device and the same run was recorded; else undefined. */
function runNow(
  { executable, opened }: Loaded,
  inputs: readonly (Tensor | HostTensor)[],
  { donate = none, signal, timeLimit }: TensorRunOptions,
): Tensor[] | undefined {
  if (opened === undefined || signal !== undefined || timeLimit !== undefined) return undefined;
  const residents: Resident[] = [];
  for (const input of inputs) {
    const resident = isTensor(input) ? storageOf(nodeOf(input))?.onNow(opened) : undefined;
    if (resident === undefined) return undefined;
    residents.push(resident);
  }
  const given = donate.map((i) => inputs[i] as Tensor);
  const own = donate.filter((i) => {
    const tensor = inputs[i] as Tensor;
    const storage = storageFor(tensor);
    const isOnce = residents.filter((other) => other === residents[i]).length === 1;
    return isOnce && isSole(tensor) && !storage.isPinned;
  });
  const storages = own.map((i) => storageFor(inputs[i] as Tensor));
  let results: readonly Resident[] | undefined;
  let isBegun = true;
  try {
    results = executable.runResidentNow(residents, { donate: own });
    isBegun = results !== undefined;
  } finally {
    if (isBegun) for (const storage of storages) storage.leave(opened);
    if (isBegun) for (const tensor of given) tensor.dispose();
  }
  return results?.map((value) => new Tensor(known(value, opened.id)));
}

async function runLater(
  { executable, opened }: Loaded,
  inputs: readonly (Tensor | HostTensor)[],
  { donate = none, onCopy, ...limits }: TensorRunOptions,
): Promise<Tensor[]> {
  const place = opened?.id ?? interpreterName;
  await realizeAll(inputs.filter(isTensor), place);
  const sources = inputs.map((input) => (isTensor(input) ? storageFor(input) : input));
  const given = donate.flatMap((i) => (isTensor(inputs[i]) ? [inputs[i] as Tensor] : []));
  const pinned = new Set<Storage>();
  const pin = (storage: Storage): void => {
    if (!pinned.has(storage)) storage.pin();
    pinned.add(storage);
  };
  try {
    if (opened === undefined) {
      const values = sources.map((source) => {
        if (!isStorage(source)) return source;
        pin(source);
        return source.toHost();
      });
      for (const tensor of given) tensor.dispose();
      const arrays = await Promise.all(values);
      const results = await executable.run(arrays, limits);
      return results.map((value) => new Tensor(known(ownValue(value, arrays), place)));
    }
    const isOnce = (source: Storage): boolean =>
      sources.filter((other) => other === source).length === 1;
    const own: number[] = [];
    const places = sources.map((source, i) => {
      if (!isStorage(source)) {
        own.push(i);
        return uploadResident(opened, source);
      }
      const from = source.awayFrom(opened);
      if (from !== undefined) onCopy?.(i, from.id);
      const mayTake = donate.includes(i) && isOnce(source) && isSole(inputs[i] as Tensor);
      const taken = mayTake ? source.take(opened) : undefined;
      if (taken !== undefined) own.push(i);
      else pin(source);
      return taken ?? source.on(opened);
    });
    for (const tensor of given) tensor.dispose();
    const residents = await allOf(places, own);
    const results = await executable.runResident(residents, { ...limits, donate: own });
    return results.map((value) => new Tensor(known(value, place)));
  } finally {
    for (const storage of pinned) storage.unpin();
  }
}

const none: readonly number[] = [];

const isStorage = (source: Storage | HostTensor): source is Storage => 'awayFrom' in source;

function storageFor(tensor: Tensor): Storage {
  const storage = storageOf(nodeOf(tensor));
  if (storage === undefined || storage.isReleased) throw misuse('OC-TENSOR-01');
  return storage;
}

/** Views of inputs share the caller's arrays, which may change. */
const ownValue = (value: HostTensor, inputs: readonly HostTensor[]): HostTensor =>
  inputs.some(({ data }) => data === value.data) ? { ...value, data: value.data.slice() } : value;

/** All of them; where one fails, those of the run's own are released. */
async function allOf(
  places: readonly Promise<Resident>[],
  own: readonly number[],
): Promise<Resident[]> {
  const settled = await Promise.allSettled(places);
  const failed = settled.find(({ status }) => status === 'rejected');
  if (failed?.status !== 'rejected') {
    return settled.map((each) => (each as PromiseFulfilledResult<Resident>).value);
  }
  for (const i of own) {
    const each = settled[i];
    if (each?.status === 'fulfilled') releaseResident(each.value);
  }
  throw failed.reason;
}
