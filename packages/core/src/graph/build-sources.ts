/** Builders of values that come from nowhere else: inputs, constants, counters, random bits. */
import { type DType, dtypeFacts, isWide } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import { type HostTensor, type HostValue, hostTensor } from '../base/host-tensor.js';
import { make } from './make.js';
import type { Node, TensorType } from './node.js';
import { weakTable } from './weak-table.js';

/** A value given from outside. Each call makes a new one. */
export function input(name: string, type: TensorType): Node {
  return make('input', [], { name, type });
}

const smallTensors = weakTable<HostTensor>();
const smallCount = 16;

/** Text that differs wherever the stored bits may differ. */
function contentKey(tensor: HostTensor): string {
  const values = Array.from(tensor.data as ArrayLike<number | bigint>, (value) =>
    Object.is(value, -0) ? '-0' : String(value),
  );
  return `${tensor.dtype}[${tensor.shape.join(',')}]${values.join(',')}`;
}

/** A tensor known now; small ones are shared by content, others by identity. */
export function constant(tensor: HostTensor): Node {
  const small = tensor.dtype !== 'string' && tensor.data.length <= smallCount;
  const shared = small ? smallTensors.get(contentKey(tensor), () => tensor) : tensor;
  return make('constant', [], { tensor: shared });
}

/** A constant from values, encoded in `dtype`. */
export function constantOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<HostValue | boolean>,
): Node {
  return constant(hostTensor(dtype, shape, values));
}

/** A constant of shape [] whose value is rounded, wrapped or truncated to `dtype`. */
export function scalar(dtype: DType, value: HostValue | boolean): Node {
  const integer = dtypeFacts[dtype].kind === 'signed' || dtypeFacts[dtype].kind === 'unsigned';
  if (typeof value === 'number' && (integer || isWide(dtype))) {
    return constantOf(dtype, [], [BigInt(Math.trunc(value))]);
  }
  return constantOf(dtype, [], [value]);
}

/** The index along `axis` at every element. */
export function iota(type: TensorType, axis: number): Node {
  return make('iota', [], { axis, type });
}

/** A size as an i64 scalar. */
export function size(value: Size): Node {
  return typeof value === 'number' ? scalar('i64', value) : make('size', [], { value });
}

/** u32 random bits of the shape, a pure function of the key u32[2]. */
export function randomBits(key: Node, shape: readonly Size[]): Node {
  return make('randomBits', [key], { shape });
}
