/** Between a model's values as stored in files and the flat tensors that its graph takes. */
import type { OnnxValue } from '../read-data.js';
import { failure, type HostTensor } from './core.js';
import type { ImportedModel, Slot } from './import.js';

/** The graph's inputs, in order, from values by the model's names. */
export function flattenInputs(
  model: ImportedModel,
  values: ReadonlyMap<string, OnnxValue>,
): readonly HostTensor[] {
  const tensors: HostTensor[] = [];
  for (const { name, slot } of model.inputs) {
    const value = values.get(name);
    if (value === undefined) {
      throw failure('OC-ONNX-19', { name }, { where: 'inputs of the run' });
    }
    fill(slot, value, tensors, name);
  }
  return tensors;
}

function fill(slot: Slot, value: OnnxValue, into: HostTensor[], name: string): void {
  const wrong = (reason: string): Error =>
    failure('OC-ONNX-29', { type: slot.kind, reason }, { where: `input "${name}"` });
  if (slot.kind === 'tensor') {
    // A tensor given where an optional is declared is one that is there.
    if (value.kind !== 'tensor') throw wrong(`a ${value.kind} was given`);
    into[slot.index] = value.tensor;
  } else if (slot.kind === 'sequence') {
    if (value.kind !== 'sequence') throw wrong(`a ${value.kind} was given`);
    for (const [i, item] of slot.items.entries()) {
      fill(item, value.elements[i] as OnnxValue, into, name);
    }
  } else if (slot.kind === 'optional' && slot.value !== null) {
    const inner = value.kind === 'optional' ? value.value : value;
    if (inner === null) throw wrong('nothing was given');
    fill(slot.value, inner, into, name);
  }
}

/** A value of the model from the graph's outputs. */
export function buildOutput(slot: Slot, tensors: readonly HostTensor[]): OnnxValue {
  switch (slot.kind) {
    case 'tensor':
      return { kind: 'tensor', tensor: tensors[slot.index] as HostTensor };
    case 'fixed':
      return { kind: 'tensor', tensor: slot.tensor };
    case 'sequence':
      return {
        kind: 'sequence',
        elements: slot.items.map((item) => buildOutput(item, tensors)),
      };
    default:
      return {
        kind: 'optional',
        value: slot.value === null ? null : buildOutput(slot.value, tensors),
      };
  }
}
