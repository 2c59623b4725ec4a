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

const attempts = 6;

/**
 * Imports, and where nodes are refused only because values or shapes of inputs are unknown, again
 * with those fixed. `fixed` names the inputs whose values, `shaped` those whose sizes the program
 * is now made for.
 */
export function specializeModel(
  model: ModelProto,
  values: ReadonlyMap<string, OnnxValue>,
  options: ImportOptions = {},
): ImportedModel & { readonly fixed: readonly string[]; readonly shaped: readonly string[] } {
  const inputs = new Map(options.inputs);
  const fixed = new Set<string>();
  const shaped = new Set<string>();
  let imported = analyzeModel(model, options);
  for (let round = 0; round < attempts && imported.refusals.length > 0; round++) {
    const before = fixed.size + shaped.size;
    for (const { input, what } of imported.refusals.flatMap((each) => each.needs)) {
      const value = values.get(input);
      if (value === undefined || fixed.has(input)) continue;
      (what === 'value' ? fixed : shaped).add(input);
      inputs.set(input, factsOf(value, what === 'value'));
    }
    if (fixed.size + shaped.size === before) break;
    imported = analyzeModel(model, { ...options, inputs });
  }
  return { ...imported, fixed: [...fixed], shaped: [...shaped].filter((name) => !fixed.has(name)) };
}
