/** Known values behind graph nodes: on the host, on devices, or both; released once. */
import { debug } from '../base/debug.js';
import type { DType } from '../base/dtype.js';
import { bytesOf } from '../base/dtype.js';
import { elementCount, type HostTensor } from '../base/host-tensor.js';
import type { Node } from '../graph/node.js';
import type { Resident } from '../runtime/pool.js';
import type { OpenDevice } from '../runtime/registry.js';
import { readResident, releaseResident, uploadResident } from '../runtime/resident.js';
import { misuse } from './where.js';

/** The value in the memory of one device. */
interface Copy {
  readonly opened: OpenDevice;
  /** Absent where the value was there from the start. */
  readonly coming?: Promise<Resident>;
  /** Once it is there. */
  value: Resident | undefined;
}

const residentOf = async ({ coming, value }: Copy): Promise<Resident> =>
  value ?? (coming as Promise<Resident>);

/** One of each device, mostly one. */
type Residents = Copy[];

/** A value that is still held, for the leak report. */
export interface Leak {
  readonly where: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

const live = new Map<number, () => Leak>();
let nextId = 1;

function releaseAll(residents: Residents): void {
  for (const { coming, value } of residents) {
    if (value === undefined) coming?.then(releaseNow).catch(() => {});
    else releaseNow(value);
  }
  residents.length = 0;
}

function releaseNow(value: Resident): void {
  try {
    releaseResident(value);
  } catch {
    // The device may be closed already; its memory is gone with it.
  }
}

const net = new FinalizationRegistry<{ readonly id: number; readonly residents: Residents }>(
  ({ id, residents }) => {
    live.delete(id);
    releaseAll(residents);
  },
);

/** Values that hold memory and were neither released nor collected; kept from debug level 1 on. */
export const leaks = (): readonly Leak[] => [...live.values()].map((leak) => leak());

/** Smaller values do not pay: an allocation of this size takes address space only. */
const leastWeight = 2 ** 17;

/**
 * A buffer that is never touched, as large as a value in device memory: the collector of the
 * engine does not see that memory, and would let garbage there grow without end.
 */
function weightOf(bytes: number): ArrayBuffer | undefined {
  try {
    return new ArrayBuffer(bytes);
  } catch {
    return undefined;
  }
}

/** Weights of released values: making one may start a collection. */
const spareWeights: ArrayBuffer[] = [];
const mostSpare = 16;

function takeWeight(bytes: number): ArrayBuffer | undefined {
  if (bytes < leastWeight) return undefined;
  const at = spareWeights.findLastIndex(({ byteLength }) => byteLength === bytes);
  return at < 0 ? weightOf(bytes) : spareWeights.splice(at, 1)[0];
}

function giveWeight(weight: ArrayBuffer): void {
  if (spareWeights.push(weight) > mostSpare) spareWeights.shift();
}

export class Storage {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where the user wants it; absent: wherever it is used. */
  readonly device: string | undefined;
  private host: HostTensor | undefined;
  private readonly residents: Residents = [];
  /** For as long as the value is reachable; see weightOf. */
  private weight: ArrayBuffer | undefined;
  private readonly id = nextId++;
  /** Runs that read it now. */
  private pins = 0;
  private isOver = false;

  /** `value` is never changed afterwards: callers hand over arrays of their own. */
  constructor(value: HostTensor | Resident, device: string | undefined, where: () => string) {
    this.dtype = value.dtype;
    this.shape = value.shape;
    this.device = device;
    if ('memory' in value) {
      this.residents.push({ opened: value.opened, value });
    } else this.host = value;
    net.register(this, { id: this.id, residents: this.residents }, this);
    const { dtype, shape } = value;
    const bytes = bytesOf(dtype) * elementCount(shape);
    if ('memory' in value) this.weight = takeWeight(bytes);
    if (debug.level === 0) return;
    live.set(this.id, () => ({ where: where(), dtype, shape, bytes }));
  }

  get isReleased(): boolean {
    return this.isOver;
  }

  /** The value in the memory of a device; copied there at the first use. */
  on(opened: OpenDevice): Promise<Resident> {
    const known = this.copyOn(opened);
    if (known !== undefined) return residentOf(known);
    const coming = this.toHost().then((tensor) => uploadResident(opened, tensor));
    const copy: Copy = { opened, coming, value: undefined };
    this.residents.push(copy);
    coming.then(
      (value) => {
        copy.value = value;
      },
      () => this.drop(copy),
    );
    return coming;
  }

  private copyOn({ device }: OpenDevice): Copy | undefined {
    const { residents } = this;
    for (let i = 0; i < residents.length; i++) {
      const copy = residents[i] as Copy;
      if (copy.opened.device === device) return copy;
    }
    return undefined;
  }

  private drop(copy: Copy | undefined): void {
    const at = copy === undefined ? -1 : this.residents.indexOf(copy);
    if (at >= 0) this.residents.splice(at, 1);
  }

  /** As `on`, where the value lies there already and was not released; else undefined. */
  onNow(opened: OpenDevice): Resident | undefined {
    return this.isOver ? undefined : this.copyOn(opened)?.value;
  }

  /** Whether a run reads it now. */
  get isPinned(): boolean {
    return this.pins > 0;
  }

  /** Takes note that its memory on a device is another's now, and releases the rest. */
  leave(opened: OpenDevice): void {
    this.drop(this.copyOn(opened));
    this.release();
  }

  /** The value on the host; not to be changed. */
  async toHost(): Promise<HostTensor> {
    if (this.isOver) throw misuse('OC-TENSOR-01');
    if (this.host !== undefined) return this.host;
    const [copy] = this.residents;
    return readResident(await residentOf(copy as Copy));
  }

  /** As `toHost`, in an array that belongs to the caller. */
  async read(): Promise<HostTensor> {
    const tensor = await this.hold(() => this.toHost());
    if (tensor !== this.host) return tensor;
    return { ...tensor, data: tensor.data.slice() };
  }

  /** Keeps the memory while `work` runs, also if it is released meanwhile. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.pin();
    try {
      return await work();
    } finally {
      this.unpin();
    }
  }

  /** Keeps the memory until as many calls of `unpin`, also if it is released meanwhile. */
  pin(): void {
    this.pins++;
  }

  unpin(): void {
    this.pins--;
    if (this.isOver) this.free();
  }

  /** The device that the value would have to be copied from to lie on `opened`. */
  awayFrom(opened: OpenDevice): OpenDevice | undefined {
    if (this.host !== undefined || this.copyOn(opened) !== undefined) return undefined;
    const [other] = this.residents;
    return other?.opened;
  }

  /**
   * Hands the memory on a device over, which the caller then releases, and releases the rest;
   * undefined while others use it.
   */
  take(opened: OpenDevice): Promise<Resident> | undefined {
    if (this.pins > 0 || this.isOver) return undefined;
    const taken = this.hold(async () => {
      const resident = await this.on(opened);
      this.drop(this.copyOn(opened));
      return resident;
    });
    this.release();
    return taken;
  }

  release(): void {
    if (this.isOver) return;
    this.isOver = true;
    live.delete(this.id);
    this.free();
  }

  private free(): void {
    if (this.pins > 0) return;
    net.unregister(this);
    this.host = undefined;
    if (this.weight !== undefined) giveWeight(this.weight);
    this.weight = undefined;
    releaseAll(this.residents);
  }
}

const storages = new WeakMap<Node, Storage>();

/** The known value of a node. */
export const storageOf = (node: Node): Storage | undefined => storages.get(node);

export function setStorage(node: Node, storage: Storage): void {
  storages.set(node, storage);
}
