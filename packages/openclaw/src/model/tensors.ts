/** Inputs and outputs of a model that lie on a device, beside those of the host. */
import {
  allocateArray,
  fromHost,
  type HostTensor,
  isTensor,
  type Tensor,
} from '@open-claw/core/face';
import { failure } from '@open-claw/core/graph';
import type { ImportedModel, Slot } from '@open-claw/formats';
import type { InputValue } from './values.js';

/** Tensors and what stands for them while the inputs are checked: only their kinds are known. */
export class StandIns {
  private readonly tensors = new Map<HostTensor, Tensor>();

  readonly of = (tensor: Tensor): HostTensor => {
    const { dtype, shape } = tensor;
    const made: HostTensor = { dtype, shape, data: allocateArray(dtype, 0) };
    this.tensors.set(made, tensor);
    return made;
  };

  /** The tensor that a value stands for, or the value. */
  behind(value: HostTensor): Tensor | HostTensor {
    return this.tensors.get(value) ?? value;
  }
}

/** All tensors in an input: of a sequence, those of its elements. */
export function tensorsIn(value: InputValue | undefined): readonly Tensor[] {
  if (isTensor(value)) return [value];
  return Array.isArray(value) ? value.flatMap((each: InputValue) => tensorsIn(each)) : [];
}

/** An output under its name: a result of the program by index, or a value known before it runs. */
export type NamedOutput = { readonly name: string } & (
  | { readonly index: number }
  | { readonly tensor: HostTensor }
);

const known = new WeakMap<ImportedModel, readonly NamedOutput[]>();

/** Of a sequence `name` the elements are `name[0]`, `name[1]` …; an empty optional is absent. */
export function namedOutputs(imported: ImportedModel): readonly NamedOutput[] {
  const found =
    known.get(imported) ?? imported.outputs.flatMap(({ name, slot }) => all(name, slot));
  known.set(imported, found);
  return found;
}

function all(name: string, slot: Slot): readonly NamedOutput[] {
  switch (slot.kind) {
    case 'tensor':
      return [{ name, index: slot.index }];
    case 'fixed':
      return [{ name, tensor: slot.tensor }];
    case 'sequence':
      return slot.items.flatMap((item, i) => all(`${name}[${i}]`, item));
    default:
      return slot.value === null ? [] : all(name, slot.value);
  }
}

/** Throws OC-REFUSED-01 where an output is text: tensors hold numbers. */
export function checkOutputs(imported: ImportedModel): void {
  for (const output of namedOutputs(imported)) {
    const { dtype } =
      'tensor' in output ? output.tensor : (imported.graph.outputs[output.index] ?? {});
    if (dtype !== 'string') continue;
    const reason = 'it is text, which run gives; tensors hold numbers';
    throw failure('OC-REFUSED-01', { subject: `output "${output.name}"`, reason });
  }
}

/** The results by name; names come from the file, so there is no prototype that one could reach. */
export function byName<T>(
  imported: ImportedModel,
  results: readonly T[],
  ofKnown: (tensor: HostTensor) => T,
): Readonly<Record<string, T>> {
  const named: Record<string, T> = Object.create(null);
  for (const output of namedOutputs(imported)) {
    named[output.name] = 'index' in output ? (results[output.index] as T) : ofKnown(output.tensor);
  }
  return named;
}

/** A value that is known before the program runs, as a tensor of a device. */
export const knownTensor =
  (device: string) =>
  (tensor: HostTensor): Tensor =>
    fromHost(tensor, { device });
