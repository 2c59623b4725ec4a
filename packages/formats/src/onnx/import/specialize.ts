/** Imports a model for given input values: fixes no more of them than the import asks for. */

import type { ModelProto } from '../model.js';
import type { OnnxValue } from '../read-data.js';
import { analyzeModel, type ImportedModel, type ImportOptions, type InputFacts } from './import.js';

/** Facts of a value: its structure and sizes, with the elements where they were asked for. */
export function factsOf(value: OnnxValue, withElements: boolean): InputFacts {
  switch (value.kind) {
    case 'tensor': {
      const { tensor } = value;
      const fixed = withElements || tensor.dtype === 'string';
      return { kind: 'tensor', shape: tensor.shape, ...(fixed ? { value: tensor } : {}) };
    }
    case 'sequence':
      return { kind: 'sequence', items: value.elements.map((each) => factsOf(each, false)) };
    case 'optional':
      return { kind: 'optional', value: value.value === null ? null : factsOf(value.value, false) };
    default:
      return { kind: 'tensor' };
  }
}

const attempts = 4;

/**
 * Imports, and where nodes are refused only because values of inputs are unknown, again with those
 * values fixed. `fixed` names the inputs that the program is now made for.
 */
export function specializeModel(
  model: ModelProto,
  values: ReadonlyMap<string, OnnxValue>,
  options: ImportOptions = {},
): ImportedModel & { readonly fixed: readonly string[] } {
  const inputs = new Map(options.inputs);
  const fixed: string[] = [];
  let imported = analyzeModel(model, options);
  for (let round = 0; round < attempts && imported.refusals.length > 0; round++) {
    const needs = new Set(imported.refusals.flatMap((each) => each.needs));
    const fresh = [...needs].filter((name) => !fixed.includes(name) && values.has(name));
    if (fresh.length === 0) break;
    for (const name of fresh) {
      inputs.set(name, factsOf(values.get(name) as OnnxValue, true));
      fixed.push(name);
    }
    imported = analyzeModel(model, { ...options, inputs });
  }
  return { ...imported, fixed };
}
