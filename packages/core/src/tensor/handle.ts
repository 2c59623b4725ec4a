/** What every tensor is: a handle on a graph node that is pending or known, and how it is read. */
import { debug } from '../base/debug.js';
import { type DType, isFloat } from '../base/dtype.js';
import {
  elementCount,
  type HostTensor,
  type HostValue,
  readElement,
  valuesOf,
} from '../base/host-tensor.js';
import { input } from '../graph/build.js';
import type { Node } from '../graph/node.js';
import type { Resident } from '../runtime/pool.js';
import { isFixed, record, run } from './evaluate.js';
import { Storage, setStorage, storageOf } from './storage.js';
import { atUserLine, atUserLineLater, captureStack, lineOf, misuse } from './where.js';

/** What `data()` gives: values, not bits; narrow floats come as f32. */
export type Values =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

export type Scalar = number | bigint | boolean;
export type Nested = Scalar | readonly Nested[];

/** Live handles on one value, the pending node and its leaf together. */
interface Owners {
  count: number;
}

const owners = new WeakMap<Node, Owners>();

function ownersOf(node: Node): Owners {
  const known = owners.get(node) ?? { count: 0 };
  owners.set(node, known);
  return known;
}

/** Scopes that are open, the innermost last; each lists the handles made inside. */
const scopes: Set<TensorHandle>[] = [];

/** The graph node of a tensor. Throws OC-TENSOR-01 where it was disposed. */
export let nodeOf: (handle: TensorHandle) => Node;
/** Lets a handle start from its value instead of from how it was computed. */
let settle: (handle: TensorHandle) => void;
let originOf: (handle: TensorHandle) => () => string;

export class TensorHandle {
  #node: Node;
  #isDisposed = false;
  readonly #origin: Error | undefined;

  /** Tensors are made by `tensor`, `zeros`, … and by operations on tensors. */
  constructor(node: Node) {
    this.#node = node;
    this.#origin = debug.level > 0 ? captureStack() : undefined;
    ownersOf(node).count++;
    scopes.at(-1)?.add(this);
  }

  static {
    nodeOf = (handle) => {
      if (handle.#isDisposed) throw misuse('OC-TENSOR-01');
      // Another handle may have computed it; constants stay what they are in every program.
      if (storageOf(handle.#node) !== undefined && !isFixed(handle.#node)) settle(handle);
      return handle.#node;
    };
    settle = (handle) => {
      const known = storageOf(handle.#node);
      if (known === undefined || known.isReleased || handle.#node.op === 'input') return;
      handle.#node = leafOf(handle.#node, known);
    };
    originOf = (handle) => {
      const origin = handle.#origin;
      return () => (origin === undefined ? '' : lineOf(origin));
    };
  }

  get dtype(): DType {
    return this.#node.dtype;
  }

  get shape(): readonly number[] {
    return this.#node.shape as readonly number[];
  }

  /** Number of axes. */
  get rank(): number {
    return this.#node.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape);
  }

  /** The device that was asked for; undefined: wherever it is used. */
  get device(): string | undefined {
    return storageOf(this.#node)?.device;
  }

  /** Computes it now; later operations start from the value. */
  async realize(): Promise<this> {
    return atUserLineLater(async () => {
      await realizeAll([this]);
      return this;
    });
  }

  /** The values in row-major order, in an array that belongs to the caller. */
  async data(): Promise<Values> {
    return atUserLineLater(async () => decoded(await hostOf(this)));
  }

  /** The values as nested arrays: bigint for 64-bit integers, booleans for bool. */
  async array(): Promise<Nested> {
    return atUserLineLater(async () => {
      const tensor = await hostOf(this);
      const values = valuesOf(tensor).map((value) => plain(tensor.dtype, value));
      return nest(values, tensor.shape);
    });
  }

  /** The only element. Throws OC-TENSOR-06. */
  async item(): Promise<number> {
    return atUserLineLater(async () => {
      if (this.size !== 1) throw misuse('OC-TENSOR-06', { count: this.size });
      return Number(readElement(await hostOf(this), 0));
    });
  }

  /** The values in storage form (see dtype.ts), as files hold them. */
  async host(): Promise<HostTensor> {
    return atUserLineLater(() => hostOf(this));
  }

  /** The value on another device; everything made from it is computed there. */
  async on(device: string): Promise<this> {
    return atUserLineLater(async () => {
      const tensor = await hostOf(this);
      return this.derive(() => known(tensor, device));
    });
  }

  /** Gives its memory back once no other handle needs the value; it cannot be used afterwards. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const scope of scopes) scope.delete(this);
    const shared = ownersOf(this.#node);
    shared.count--;
    if (shared.count === 0) storageOf(this.#node)?.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    return `Tensor ${this.dtype}[${this.shape.join(', ')}]`;
  }

  /** A tensor of the same class on the node that `build` makes; failures name the user's line. */
  protected derive(build: () => Node): this {
    const make = this.constructor as new (node: Node) => this;
    return atUserLine(() => new make(build()));
  }
}

/** Whether no other handle needs the value. */
export const isSole = (handle: TensorHandle): boolean => ownersOf(nodeOf(handle)).count === 1;

/** Keeps a value although its handles are disposed. */
export function retain(node: Node): void {
  ownersOf(node).count++;
}

const leaves = new WeakMap<Storage, Node>();

/** An input node that stands for a known value. */
function leafOf(node: Node, storage: Storage): Node {
  const made = leaves.get(storage) ?? input('value', { dtype: node.dtype, shape: node.shape });
  leaves.set(storage, made);
  owners.set(made, ownersOf(node));
  setStorage(made, storage);
  return made;
}

/** A node whose value is known already. The array must not change afterwards. */
export function known(value: HostTensor | Resident, device?: string): Node {
  const node = input('value', { dtype: value.dtype, shape: value.shape });
  const captured = debug.level > 0 ? captureStack() : undefined;
  setStorage(
    node,
    new Storage(value, device, () => (captured === undefined ? '' : lineOf(captured))),
  );
  return node;
}

const isPending = (handle: TensorHandle): boolean =>
  storageOf(nodeOf(handle))?.isReleased !== false;

/**
 * Computes everything that these tensors still need, as one program: where their values ask for,
 * else on `preferred`, else where all tensors are computed.
 */
export async function realizeAll(
  handles: readonly TensorHandle[],
  preferred?: string,
): Promise<void> {
  const pending = new Map(handles.filter(isPending).map((handle) => [nodeOf(handle), handle]));
  if (pending.size > 0) {
    const { graph, leaves: inputs } = record([...pending.keys()]);
    const values = inputs.map((node) => storageOf(node) as Storage);
    const { results, device } = await run(graph, values, preferred);
    [...pending].forEach(([node, handle], i) => {
      const value = results[i] as HostTensor | Resident;
      setStorage(node, new Storage(value, device, originOf(handle)));
    });
  }
  for (const handle of handles) settle(handle);
}

async function hostOf(handle: TensorHandle): Promise<HostTensor> {
  await realizeAll([handle]);
  return (storageOf(nodeOf(handle)) as Storage).read();
}

function decoded(tensor: HostTensor): Values {
  const { dtype, data } = tensor;
  const isNarrow = isFloat(dtype) && dtype !== 'f64' && dtype !== 'f32';
  return isNarrow ? Float32Array.from(valuesOf(tensor) as number[]) : (data as Values);
}

const plain = (dtype: DType, value: HostValue): Scalar =>
  dtype === 'bool' ? value !== 0 : (value as number | bigint);

function nest(values: readonly Scalar[], shape: readonly number[]): Nested {
  const [count, ...rest] = shape;
  if (count === undefined) return values[0] as Scalar;
  const each = elementCount(rest);
  return Array.from({ length: count }, (_, i) =>
    nest(values.slice(i * each, (i + 1) * each), rest),
  );
}

/** Lists the handles made until `closeScope`. */
export function openScope(): Set<TensorHandle> {
  const made = new Set<TensorHandle>();
  scopes.push(made);
  return made;
}

/** Runs `work` outside of every scope: what it makes belongs to a recording. */
export function outsideScopes<T>(work: () => T): T {
  const made = openScope();
  try {
    return work();
  } finally {
    scopes.splice(scopes.indexOf(made), 1);
  }
}

/** Disposes what was made in the scope, except `kept`, which the scope around it owns then. */
export function closeScope(made: Set<TensorHandle>, kept: readonly TensorHandle[]): void {
  const at = scopes.indexOf(made);
  if (at >= 0) scopes.splice(at, 1);
  for (const handle of kept) {
    if (made.delete(handle)) scopes[at - 1]?.add(handle);
  }
  for (const handle of made) handle.dispose();
}
