/** Known values behind graph nodes: on the host, on devices, or both; released once. */
import { debug } from '../base/debug.js';
import type { DType } from '../base/dtype.js';
import { bytesOf } from '../base/dtype.js';
import { elementCount, type HostTensor } from '../base/host-tensor.js';
import type { Node } from '../graph/node.js';
import type { OpenDevice } from '../runtime/registry.js';
import {
  type Resident,
  readResident,
  releaseResident,
  uploadResident,
} from '../runtime/resident.js';
import { misuse } from './where.js';

type Residents = Map<OpenDevice, Promise<Resident>>;

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
  for (const value of residents.values()) {
    // The device may be closed already; its memory is gone with it.
    value.then(releaseResident).catch(() => {});
  }
  residents.clear();
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
  if (bytes < leastWeight) return undefined;
  try {
    return new ArrayBuffer(bytes);
  } catch {
    return undefined;
  }
}

/** Weights of values, for as long as the values are reachable. */
const weights = new WeakMap<Storage, ArrayBuffer>();

export class Storage {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where the user wants it; absent: wherever it is used. */
  readonly device: string | undefined;
  private host: HostTensor | undefined;
  private readonly residents: Residents = new Map();
  private readonly id = nextId++;
  /** Runs that read it now. */
  private pins = 0;
  private isOver = false;

  /** `value` is never changed afterwards: callers hand over arrays of their own. */
  constructor(value: HostTensor | Resident, device: string | undefined, where: () => string) {
    this.dtype = value.dtype;
    this.shape = value.shape;
    this.device = device;
    if ('memory' in value) this.residents.set(value.opened, Promise.resolve(value));
    else this.host = value;
    net.register(this, { id: this.id, residents: this.residents }, this);
    const { dtype, shape } = value;
    const bytes = bytesOf(dtype) * elementCount(shape);
    const weight = 'memory' in value ? weightOf(bytes) : undefined;
    if (weight !== undefined) weights.set(this, weight);
    if (debug.level === 0) return;
    live.set(this.id, () => ({ where: where(), dtype, shape, bytes }));
  }

  get isReleased(): boolean {
    return this.isOver;
  }

  /** The value in the memory of a device; copied there at the first use. */
  on(opened: OpenDevice): Promise<Resident> {
    const known = this.residents.get(opened);
    if (known !== undefined) return known;
    const made = this.toHost().then((tensor) => uploadResident(opened, tensor));
    this.residents.set(opened, made);
    made.catch(() => this.residents.delete(opened));
    return made;
  }

  /** The value on the host; not to be changed. */
  async toHost(): Promise<HostTensor> {
    if (this.isOver) throw misuse('OC-TENSOR-01');
    if (this.host !== undefined) return this.host;
    const [resident] = this.residents.values();
    return readResident(await (resident as Promise<Resident>));
  }

  /** As `toHost`, in an array that belongs to the caller. */
  async read(): Promise<HostTensor> {
    const tensor = await this.hold(() => this.toHost());
    if (tensor !== this.host) return tensor;
    return { ...tensor, data: tensor.data.slice() };
  }

  /** Keeps the memory while `work` runs, also if it is released meanwhile. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.pins++;
    try {
      return await work();
    } finally {
      this.pins--;
      if (this.isOver) this.free();
    }
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
    weights.delete(this);
    releaseAll(this.residents);
  }
}

const storages = new WeakMap<Node, Storage>();

/** The known value of a node. */
export const storageOf = (node: Node): Storage | undefined => storages.get(node);

export function setStorage(node: Node, storage: Storage): void {
  storages.set(node, storage);
}
