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
  const found = known.get(imported);
  if (found !== undefined) return found;
  const made = imported.outputs.flatMap(({ name, slot }) => all(name, slot));
  known.set(imported, made);
  return made;
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

const ofNumbers = new WeakSet<ImportedModel>();

/** Throws OC-REFUSED-01 where an output is text: tensors hold numbers. */
export function checkOutputs(imported: ImportedModel): void {
  if (ofNumbers.has(imported)) return;
  for (const output of namedOutputs(imported)) {
    const { dtype } =
      'tensor' in output ? output.tensor : (imported.graph.outputs[output.index] ?? {});
    if (dtype !== 'string') continue;
    const reason = 'it is text, which run gives; tensors hold numbers';
    throw failure('OC-REFUSED-01', { subject: `output "${output.name}"`, reason });
  }
  ofNumbers.add(imported);
}

/** The results by name; names come from the file, so there is no prototype that one could reach. */
export function byName<T>(
  imported: ImportedModel,
  results: readonly T[],
  ofKnown: (tensor: HostTensor) => T,
): Readonly<Record<string, T>> {
  const named: Record<string, T> = Object.create(null);
  const outputs = namedOutputs(imported);
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i] as NamedOutput;
    named[output.name] = 'index' in output ? (results[output.index] as T) : ofKnown(output.tensor);
  }
  return named;
}

/** A value that is known before the program runs, as a tensor of a device. */
export const knownTensor =
  (device: string) =>
  (tensor: HostTensor): Tensor =>
    fromHost(tensor, { device });

/** Arrays for the results of a program that were given by name. */
export function intoOf(
  { graph, outputs }: ImportedModel,
  given: Readonly<Record<string, HostTensor>> | undefined,
): readonly (HostTensor | undefined)[] | undefined {
  if (given === undefined) return undefined;
  const into: (HostTensor | undefined)[] = graph.outputs.map(() => undefined);
  for (const { name, slot } of outputs) {
    if (slot.kind === 'tensor' && Object.hasOwn(given, name)) into[slot.index] = given[name];
  }
  return into;
}

/** The name of the input that a parameter is, or is part of. */
export function inputNameAt({ inputs }: ImportedModel, index: number): string {
  const holds = (slot: Slot): boolean => {
    if (slot.kind === 'tensor') return slot.index === index;
    if (slot.kind === 'sequence') return slot.items.some(holds);
    return slot.kind === 'optional' && slot.value !== null && holds(slot.value);
  };
  return inputs.find(({ slot }) => holds(slot))?.name ?? '';
}
