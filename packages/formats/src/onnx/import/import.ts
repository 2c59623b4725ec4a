/** ONNX model to graph: the front of the importer. */
import { functionKey } from '../function-calls.js';
import { type Dimension, type ModelProto, normalizeDomain, type ValueType } from '../model.js';
import { dtypeOfNumber } from '../read-tensor.js';
import { type ValidateOptions, validateModel } from '../validate.js';
import { importInitializers, importNodes, statedTypes } from './body.js';
import {
  build,
  type DType,
  type Graph,
  type HostTensor,
  type Node,
  quoteText,
  type Size,
  size,
} from './core.js';
import { operators } from './operators.js';
import {
  type Frame,
  type ImportState,
  lookUp,
  type Refusal,
  RefusedNode,
  refusalError,
} from './state.js';
import { hostValue, isUnknown, unknownValue, type Value } from './value.js';

/** What a caller knows about an input before the run. Values become constants of the program. */
export type InputFacts =
  | { readonly kind: 'tensor'; readonly shape?: readonly number[]; readonly value?: HostTensor }
  | { readonly kind: 'sequence'; readonly items: readonly InputFacts[] }
  | { readonly kind: 'optional'; readonly value: InputFacts | null };

export interface ImportOptions extends ValidateOptions {
  /** Numbers for named dimensions. */
  readonly sizes?: Readonly<Record<string, number>>;
  readonly inputs?: ReadonlyMap<string, InputFacts>;
  /** Nodes after unrolling and inlining; default 1,000,000. */
  readonly nodeLimit?: number;
}

/** How a value of the model maps to tensors of the graph; `index` counts graph inputs (outputs). */
export type Slot =
  | {
      readonly kind: 'tensor';
      readonly index: number;
      readonly dtype: DType;
      readonly shape: readonly Size[];
    }
  /** A value that was fixed at import; in outputs also tensors of strings. */
  | { readonly kind: 'fixed'; readonly tensor: HostTensor }
  | { readonly kind: 'sequence'; readonly items: readonly Slot[] }
  | { readonly kind: 'optional'; readonly value: Slot | null };

export interface ModelValue {
  /** Name in the file; untrusted. */
  readonly name: string;
  /** Sizes as the file names them; null for unknown rank or another kind. */
  readonly dimensions: readonly Dimension[] | null;
  readonly slot: Slot;
}

export interface ImportedModel {
  readonly graph: Graph;
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  readonly refusals: readonly Refusal[];
}

/**
 * Imports a model. Errors: those of `validateModel`; OC-ONNX-32 naming every refused node.
 */
export function importModel(model: ModelProto, options: ImportOptions = {}): ImportedModel {
  const imported = analyzeModel(model, options);
  if (imported.refusals.length === 0) return imported;
  throw refusalError(imported.refusals, options.fileName ?? 'model');
}

/** The same without an error for refused nodes: the graph is of use only where there are none. */
export function analyzeModel(model: ModelProto, options: ImportOptions = {}): ImportedModel {
  validateModel(model, options);
  const state: ImportState = {
    operators,
    functions: new Map(
      model.functions.map((each) => [functionKey(each.domain, each.name, each.overload), each]),
    ),
    inputNames: new Map(),
    refusals: [],
    requirements: [],
    file: options.fileName ?? 'model',
    count: { nodes: 0 },
    nodeLimit: options.nodeLimit ?? 1_000_000,
  };
  const stated = model.opsetImport.length === 0 ? [{ domain: '', version: 1 }] : model.opsetImport;
  const frame: Frame = {
    state,
    opsets: new Map(stated.map((each) => [normalizeDomain(each.domain), each.version])),
    attributes: null,
    scope: { names: new Map(), outer: null },
    types: statedTypes(model.graph),
    place: `graph "${model.graph.name}"`,
    inRegion: false,
    depth: 0,
  };
  importInitializers(frame, model.graph);
  const inputs = importInputs(frame, model, options);
  importNodes(frame, model.graph.nodes);
  const nodes: Node[] = [];
  const outputs = model.graph.outputs.map((output): ModelValue => {
    const value = lookUp(frame.scope, output.name) ?? unknownValue;
    const slot = isUnknown(value) ? noSlot : outputSlot(value, nodes);
    return { name: output.name, dimensions: dimensionsOf(output.type), slot };
  });
  // Stand-ins of refused nodes have no place in a graph.
  const graph =
    state.refusals.length > 0
      ? build.graphOf([], [])
      : build.graphOf(inputs.nodes, nodes, state.requirements);
  return { graph, inputs: inputs.values, outputs, refusals: state.refusals };
}

const noSlot: Slot = { kind: 'sequence', items: [] };

function dimensionsOf(type: ValueType | null): readonly Dimension[] | null {
  return type?.kind === 'tensor' ? type.shape : null;
}

function outputSlot(value: Value, nodes: Node[]): Slot {
  switch (value.kind) {
    case 'tensor': {
      const { dtype, shape } = value.node;
      return { kind: 'tensor', index: nodes.push(value.node) - 1, dtype, shape };
    }
    case 'strings':
      return { kind: 'fixed', tensor: value.tensor };
    case 'sequence':
      return { kind: 'sequence', items: value.items.map((item) => outputSlot(item, nodes)) };
    case 'optional': {
      const inner = value.value;
      return { kind: 'optional', value: inner === null ? null : outputSlot(inner, nodes) };
    }
    default:
      return noSlot;
  }
}

interface Inputs {
  readonly nodes: readonly Node[];
  readonly values: readonly ModelValue[];
}

/** Inputs of the model; one that an initializer gives is a constant, as in IR versions below 4. */
function importInputs(frame: Frame, model: ModelProto, options: ImportOptions): Inputs {
  const nodes: Node[] = [];
  const values: ModelValue[] = [];
  const symbols = new Map<string, Size>();
  const extent = (dimension: Dimension): Size => {
    if (typeof dimension === 'number') return dimension;
    const given = dimension === null ? undefined : options.sizes?.[dimension];
    if (given !== undefined) return given;
    const known = dimension === null || dimension === '' ? undefined : symbols.get(dimension);
    if (known !== undefined) return known;
    const made = size.variable(`n${symbols.size}`);
    symbols.set(dimension === null || dimension === '' ? `\0${symbols.size}` : dimension, made);
    return made;
  };
  const make = (dtype: DType, shape: readonly Size[], name: string): readonly [Value, Slot] => {
    const node = build.input(`x${nodes.length}`, { dtype, shape });
    frame.state.inputNames.set(node, name);
    const index = nodes.push(node) - 1;
    return [
      { kind: 'tensor', node },
      { kind: 'tensor', index, dtype, shape },
    ];
  };
  for (const input of model.graph.inputs) {
    if (frame.scope.names.has(input.name)) continue;
    try {
      const facts = options.inputs?.get(input.name);
      const [value, slot] = importInput(input.type, facts, input.name, { extent, make });
      frame.scope.names.set(input.name, value);
      values.push({ name: input.name, dimensions: dimensionsOf(input.type), slot });
    } catch (error) {
      if (!(error instanceof RefusedNode)) throw error;
      frame.scope.names.set(input.name, unknownValue);
      frame.state.refusals.push({
        operator: 'input',
        domain: '',
        version: 0,
        node: quoteText(`graph input "${input.name}"`),
        reason: error.message,
        needs: error.needs,
      });
    }
  }
  return { nodes, values };
}

interface Maker {
  readonly extent: (dimension: Dimension) => Size;
  readonly make: (dtype: DType, shape: readonly Size[], name: string) => readonly [Value, Slot];
}

function importInput(
  type: ValueType | null,
  facts: InputFacts | undefined,
  name: string,
  maker: Maker,
): readonly [Value, Slot] {
  if (type?.kind === 'sequence') {
    if (facts?.kind !== 'sequence') {
      throw new RefusedNode('the length of a sequence must be known before the run', [
        { input: name, what: 'value' },
      ]);
    }
    const items = facts.items.map((item) => importInput(type.element, item, name, maker));
    const dtype = type.element.kind === 'tensor' ? dtypeOfNumber(type.element.dataType) : null;
    const values = items.map(([value]) => value);
    const slots = items.map(([, slot]) => slot);
    return [
      { kind: 'sequence', items: values, dtype },
      { kind: 'sequence', items: slots },
    ];
  }
  if (type?.kind === 'optional') {
    if (facts?.kind !== 'optional') {
      throw new RefusedNode('whether an optional is there must be known before the run', [
        { input: name, what: 'value' },
      ]);
    }
    if (facts.value === null) {
      return [
        { kind: 'optional', value: null },
        { kind: 'optional', value: null },
      ];
    }
    const [value, slot] = importInput(type.element, facts.value, name, maker);
    return [
      { kind: 'optional', value },
      { kind: 'optional', value: slot },
    ];
  }
  if (type?.kind !== 'tensor') {
    throw new RefusedNode(`inputs of kind ${type?.kind ?? 'unknown'} are not supported`);
  }
  const known = facts?.kind === 'tensor' ? facts : undefined;
  if (known?.value !== undefined) {
    return [hostValue(known.value), { kind: 'fixed', tensor: known.value }];
  }
  const dtype = dtypeOfNumber(type.dataType);
  if (dtype === null) throw new RefusedNode(`data type ${type.dataType} has no dtype here`);
  if (dtype === 'string') {
    throw new RefusedNode('strings must be known before the run', [{ input: name, what: 'value' }]);
  }
  const shape = known?.shape ?? type.shape?.map(maker.extent);
  if (shape === undefined)
    throw new RefusedNode('its rank must be known before the run', [
      { input: name, what: 'shape' },
    ]);
  return maker.make(dtype, shape, name);
}
