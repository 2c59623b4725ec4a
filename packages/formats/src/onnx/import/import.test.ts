/** The importer's own rules, on small models made in code; operators are tested by the suite. */
import { describe, expect, it } from 'vitest';
import { buildGraph, buildModel, buildNode, buildValue } from '../build.js';
import type { AttributeProto, ModelProto, NodeProto } from '../model.js';
import type { OnnxValue } from '../read-data.js';
import { tensorProto } from '../write.js';
import { type HostTensor, hostTensor, interpret, isFailure, valuesOf } from './core.js';
import { analyzeModel, importModel } from './import.js';
import { specializeModel } from './specialize.js';
import { buildOutput, flattenInputs } from './suite-values.js';

const f32 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('f32', shape, values);
const i64 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('i64', shape, values.map(BigInt));
const bool = (value: boolean): HostTensor => hostTensor('bool', [], [value]);
const int = (name: string, value: number): AttributeProto => ({
  name,
  kind: 'int',
  value: BigInt(value),
});
const constantNode = (output: string, tensor: HostTensor): NodeProto =>
  buildNode(
    'Constant',
    [],
    [output],
    [{ name: 'value', kind: 'tensor', value: tensorProto('', tensor) }],
  );

const tensors = (given: Readonly<Record<string, HostTensor>>): ReadonlyMap<string, OnnxValue> =>
  new Map(Object.entries(given).map(([name, tensor]) => [name, { kind: 'tensor', tensor }]));

/** Outputs of a model for these inputs, by the interpreter. */
function run(model: ModelProto, given: Readonly<Record<string, HostTensor>>): readonly OnnxValue[] {
  const imported = importModel(model);
  const results = interpret(imported.graph, flattenInputs(imported, tensors(given)));
  return imported.outputs.map(({ slot }) => buildOutput(slot, results));
}

function numbers(value: OnnxValue | undefined): readonly number[] {
  if (value?.kind !== 'tensor') throw new Error('not a tensor');
  return valuesOf(value.tensor).map(Number);
}

function shapeOf(value: OnnxValue | undefined): readonly number[] {
  if (value?.kind !== 'tensor') throw new Error('not a tensor');
  return value.tensor.shape;
}

describe('inputs and initializers', () => {
  const model = buildModel({
    inputs: [buildValue('x', ['n', 'm']), buildValue('w', [2])],
    initializers: [tensorProto('w', f32([2], [10, 20]))],
    nodes: [buildNode('Add', ['x', 'w'], ['y'])],
    outputs: [buildValue('y', ['n', 2])],
  });

  it('takes an input with an initializer as a constant', () => {
    const imported = importModel(model);
    expect(imported.inputs.map((each) => each.name)).toEqual(['x']);
    expect(imported.inputs[0]?.dimensions).toEqual(['n', 'm']);
    expect(numbers(run(model, { x: f32([1, 2], [1, 2]) })[0])).toEqual([11, 22]);
  });

  it('gives one symbol per name, with a name of its own making', () => {
    const square = buildModel({
      inputs: [buildValue('x', ['evil"name', 'evil"name', null])],
      nodes: [buildNode('Neg', ['x'], ['y'])],
      outputs: [buildValue('y', null)],
    });
    const { graph } = importModel(square);
    const [a, b, c] = graph.inputs[0]?.shape ?? [];
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    expect([...graph.symbols.keys()].every((name) => /^[a-z]\d+$/.test(name))).toBe(true);
  });

  it('replaces named sizes by numbers given', () => {
    const imported = importModel(model, { sizes: { n: 7, m: 2 } });
    expect(imported.graph.inputs[0]?.shape).toEqual([7, 2]);
  });
});

describe('refusals', () => {
  const model = buildModel({
    inputs: [buildValue('x', [2])],
    nodes: [
      buildNode('Strange', ['x'], ['a'], [], { name: 'first\u0007"one' }),
      buildNode('Neg', ['a'], ['b']),
      buildNode('Odd', ['b'], ['c']),
      buildNode('Acosh', ['x'], ['d'], [], { domain: '' }),
    ],
    outputs: [buildValue('c', [2]), buildValue('d', [2])],
  });

  it('are all collected, with operator, version and node', () => {
    const { refusals } = analyzeModel(model);
    expect(refusals.map((each) => each.operator)).toEqual(['Strange', 'Odd']);
    expect(refusals[0]?.version).toBe(21);
    expect(refusals[0]?.node).not.toContain('\u0007');
  });

  it('make one error of kind refused', () => {
    try {
      importModel(model);
      expect.unreachable();
    } catch (error) {
      if (!isFailure(error)) throw error;
      expect(error.code).toBe('OC-ONNX-32');
      expect(error.kind).toBe('refused');
      expect(error.what).toContain('Strange');
      expect(error.what).toContain('Odd');
    }
  });

  it('name an operator that is older than what is supported', () => {
    const old = buildModel(
      {
        inputs: [buildValue('x', [2])],
        nodes: [buildNode('Acosh', ['x'], ['y'])],
        outputs: [buildValue('y', [2])],
      },
      { opsetImport: [{ domain: '', version: 8 }] },
    );
    expect(analyzeModel(old).refusals[0]?.reason).toContain('older than 9');
  });
});

describe('functions', () => {
  const scaled = {
    name: 'Scaled',
    domain: 'own',
    overload: '',
    docString: '',
    inputs: ['x'],
    outputs: ['y'],
    attributeNames: ['to'],
    attributeDefaults: [{ name: 'axis', kind: 'int', value: 1n } as const],
    nodes: [
      buildNode(
        'Cast',
        ['x'],
        ['c'],
        [{ name: 'to', kind: 'reference', value: 'to', type: 'int' }],
      ),
      buildNode(
        'Softmax2',
        ['c'],
        ['y'],
        [{ name: 'axis', kind: 'reference', value: 'axis', type: 'int' }],
        { domain: 'own' },
      ),
    ],
    opsetImport: [
      { domain: '', version: 21 },
      { domain: 'own', version: 1 },
    ],
    valueInfo: [],
    metadata: [],
  };
  const inner = {
    ...scaled,
    name: 'Softmax2',
    attributeNames: ['axis'],
    attributeDefaults: [],
    nodes: [
      buildNode(
        'Flatten',
        ['x'],
        ['y'],
        [{ name: 'axis', kind: 'reference', value: 'axis', type: 'int' }],
      ),
    ],
  };

  it('are written out, nested, with references to attributes and defaults', () => {
    const model = buildModel(
      {
        inputs: [buildValue('x', [2, 3, 2])],
        nodes: [
          buildNode('Scaled', ['x'], ['a'], [int('to', 7)], { domain: 'own' }),
          buildNode('Scaled', ['x'], ['b'], [int('to', 6), int('axis', 2)], { domain: 'own' }),
        ],
        outputs: [buildValue('a', null, 7), buildValue('b', null, 6)],
      },
      { opsetImport: scaled.opsetImport, functions: [scaled, inner] },
    );
    const [a, b] = run(model, { x: f32([2, 3, 2], Array(12).fill(1.5)) });
    expect(shapeOf(a)).toEqual([2, 6]);
    expect(shapeOf(b)).toEqual([6, 2]);
    expect(a?.kind === 'tensor' && a.tensor.dtype).toBe('i64');
    expect(b?.kind === 'tensor' && b.tensor.dtype).toBe('i32');
  });
});

describe('hostile models', () => {
  it('bounds the depth of calls', () => {
    const chain = Array.from({ length: 300 }, (_, i) => ({
      name: `F${i}`,
      domain: 'own',
      overload: '',
      docString: '',
      inputs: ['x'],
      outputs: ['y'],
      attributeNames: [],
      attributeDefaults: [],
      nodes: [
        i === 299
          ? buildNode('Neg', ['x'], ['y'])
          : buildNode(`F${i + 1}`, ['x'], ['y'], [], { domain: 'own' }),
      ],
      opsetImport: [
        { domain: '', version: 21 },
        { domain: 'own', version: 1 },
      ],
      valueInfo: [],
      metadata: [],
    }));
    const model = buildModel(
      {
        inputs: [buildValue('x', [2])],
        nodes: [buildNode('F0', ['x'], ['y'], [], { domain: 'own' })],
        outputs: [buildValue('y', [2])],
      },
      { opsetImport: chain[0]?.opsetImport ?? [], functions: chain },
    );
    expect(analyzeModel(model).refusals[0]?.reason).toContain('nested deeper');
  });

  it('follows a chain of 5,000 additions to a shape', () => {
    const count = 5_000;
    const model = buildModel({
      inputs: [buildValue('x', ['n'])],
      nodes: [
        buildNode('Shape', ['x'], ['s0']),
        constantNode('one', i64([1], [1])),
        ...Array.from({ length: count }, (_, i) =>
          buildNode('Add', [`s${i}`, 'one'], [`s${i + 1}`]),
        ),
        buildNode('ConstantOfShape', [`s${count}`], ['y']),
      ],
      outputs: [buildValue('y', null)],
    });
    expect(shapeOf(run(model, { x: f32([3], [1, 2, 3]) })[0])).toEqual([count + 3]);
  });

  it('bounds the nodes of loops that are written out', () => {
    const body = buildGraph({
      inputs: [buildValue('i', [], 7), buildValue('go', [], 9), buildValue('a', null)],
      nodes: [
        buildNode('Identity', ['go'], ['on']),
        buildNode('Concat', ['a', 'a'], ['b'], [int('axis', 0)]),
      ],
      outputs: [buildValue('on', [], 9), buildValue('b', null)],
    });
    const model = buildModel({
      inputs: [buildValue('x', [1])],
      nodes: [
        constantNode('trips', i64([], [100])),
        buildNode(
          'Loop',
          ['trips', '', 'x'],
          ['y'],
          [{ name: 'body', kind: 'graph', value: body }],
        ),
      ],
      outputs: [buildValue('y', null)],
    });
    const { refusals } = analyzeModel(model, { nodeLimit: 50 });
    expect(refusals[0]?.reason).toContain('more than 50 nodes');
  });
});

describe('shape arithmetic', () => {
  it('stays symbolic from Shape to Reshape', () => {
    const model = buildModel({
      inputs: [buildValue('x', ['n', 4, 'm'])],
      nodes: [
        buildNode('Shape', ['x'], ['s']),
        constantNode('zero', i64([1], [0])),
        constantNode('last', i64([1], [-1])),
        constantNode('two', i64([1], [2])),
        buildNode('Gather', ['s', 'zero'], ['n']),
        buildNode('Gather', ['s', 'last'], ['m']),
        buildNode('Mul', ['m', 'two'], ['m2']),
        buildNode('Concat', ['n', 'two', 'm2'], ['to'], [int('axis', 0)]),
        buildNode('Reshape', ['x', 'to'], ['y']),
      ],
      outputs: [buildValue('y', null)],
    });
    const { graph } = importModel(model);
    expect([...graph.symbols.values()].map((source) => source.from)).toEqual(['size', 'size']);
    const x = f32(
      [3, 4, 5],
      Array.from({ length: 60 }, (_, i) => i),
    );
    expect(shapeOf(run(model, { x })[0])).toEqual([3, 2, 10]);
  });

  it('reads elements at run time where the shape is an input, −1 and 0 included', () => {
    const model = buildModel({
      inputs: [buildValue('x', [2, 3, 4]), buildValue('to', [3], 7)],
      nodes: [buildNode('Reshape', ['x', 'to'], ['y'])],
      outputs: [buildValue('y', null)],
    });
    const x = f32([2, 3, 4], Array(24).fill(0));
    expect(shapeOf(run(model, { x, to: i64([3], [4, -1, 2]) })[0])).toEqual([4, 3, 2]);
    expect(shapeOf(run(model, { x, to: i64([3], [0, 0, -1]) })[0])).toEqual([2, 3, 4]);
    expect(shapeOf(run(model, { x, to: i64([3], [1, 6, 4]) })[0])).toEqual([1, 6, 4]);
    expect(() => run(model, { x, to: i64([3], [5, 1, 2]) })).toThrow(/OC-SHAPE/);
  });

  it('cuts slices with bounds given at run time', () => {
    const model = buildModel({
      inputs: [buildValue('x', ['n']), buildValue('from', [1], 7), buildValue('to', [1], 7)],
      nodes: [buildNode('Slice', ['x', 'from', 'to'], ['y'])],
      outputs: [buildValue('y', null)],
    });
    const x = f32([6], [0, 1, 2, 3, 4, 5]);
    const cut = (from: number, to: number): readonly number[] =>
      numbers(run(model, { x, from: i64([1], [from]), to: i64([1], [to]) })[0]);
    expect(cut(1, 3)).toEqual([1, 2]);
    expect(cut(-2, 100)).toEqual([4, 5]);
    expect(cut(4, 2)).toEqual([]);
    expect(cut(-100, -4)).toEqual([0, 1]);
  });
});

describe('control flow', () => {
  const branch = (name: string, operator: string) => ({
    name,
    kind: 'graph' as const,
    value: buildGraph({
      nodes: [buildNode(operator, ['x', 'k'], ['r'])],
      outputs: [buildValue('r', null)],
    }),
  });
  const choice = buildModel({
    inputs: [buildValue('c', [], 9), buildValue('x', ['n'])],
    nodes: [
      constantNode('k', f32([], [2])),
      buildNode('If', ['c'], ['y'], [branch('then_branch', 'Add'), branch('else_branch', 'Mul')]),
    ],
    outputs: [buildValue('y', null)],
  });

  it('keeps both branches of a condition given at run time', () => {
    expect(numbers(run(choice, { c: bool(true), x: f32([2], [5, 6]) })[0])).toEqual([7, 8]);
    expect(numbers(run(choice, { c: bool(false), x: f32([2], [5, 6]) })[0])).toEqual([10, 12]);
  });

  const body = buildGraph({
    inputs: [buildValue('i', [], 7), buildValue('go', [], 9), buildValue('a', [1])],
    nodes: [
      buildNode('Add', ['a', 'step'], ['next']),
      buildNode('Less', ['next', 'limit'], ['on1']),
      constantNode('none', i64([0], [])),
      buildNode('Reshape', ['on1', 'none'], ['on']),
      buildNode('Identity', ['next'], ['out']),
    ],
    outputs: [buildValue('on', [], 9), buildValue('next', [1]), buildValue('out', [1])],
  });
  const loop = buildModel({
    inputs: [buildValue('trips', [], 7), buildValue('step', [1]), buildValue('limit', [1])],
    nodes: [
      constantNode('start', f32([1], [0])),
      buildNode(
        'Loop',
        ['trips', '', 'start'],
        ['last', 'all'],
        [{ name: 'body', kind: 'graph', value: body }],
      ),
    ],
    outputs: [buildValue('last', null), buildValue('all', null)],
  });

  it('ends a loop by its condition or its count and stacks what was made', () => {
    const given = { step: f32([1], [2]), limit: f32([1], [5]) };
    const [last, all] = run(loop, { ...given, trips: i64([], [10]) });
    expect(numbers(last)).toEqual([6]);
    expect(numbers(all)).toEqual([2, 4, 6]);
    expect(shapeOf(all)).toEqual([3, 1]);
    const [short, two] = run(loop, { ...given, trips: i64([], [2]) });
    expect(numbers(short)).toEqual([4]);
    expect(numbers(two)).toEqual([2, 4]);
  });

  it('makes a counted loop where the condition never changes', () => {
    const counted = buildModel({
      inputs: [buildValue('x', ['n'])],
      nodes: [
        constantNode('trips', i64([], [3])),
        buildNode(
          'Loop',
          ['trips', '', 'x'],
          ['y'],
          [
            {
              name: 'body',
              kind: 'graph',
              value: buildGraph({
                inputs: [buildValue('i', [], 7), buildValue('go', [], 9), buildValue('a', null)],
                nodes: [buildNode('Identity', ['go'], ['on']), buildNode('Add', ['a', 'x'], ['b'])],
                outputs: [buildValue('on', [], 9), buildValue('b', null)],
              }),
            },
          ],
        ),
      ],
      outputs: [buildValue('y', null)],
    });
    const { graph } = importModel(counted);
    expect(graph.outputs[0]?.inputs[0]?.op).toBe('loop');
    expect(numbers(run(counted, { x: f32([2], [1, 2]) })[0])).toEqual([4, 8]);
  });
});

describe('shapes that must be known before the run', () => {
  it('are asked for by name and fixed without the values', () => {
    const model = buildModel({
      inputs: [buildValue('x', ['n', 'm'])],
      nodes: [
        buildNode('SplitToSequence', ['x'], ['s']),
        buildNode('ConcatFromSequence', ['s'], ['y'], [int('axis', 0)]),
      ],
      outputs: [buildValue('y', null)],
    });
    const given = tensors({ x: f32([3, 2], [1, 2, 3, 4, 5, 6]) });
    const imported = specializeModel(model, given);
    expect(imported.shaped).toEqual(['x']);
    expect(imported.fixed).toEqual([]);
    expect(imported.graph.inputs[0]?.shape).toEqual([3, 2]);
    const results = interpret(imported.graph, flattenInputs(imported, given));
    expect(valuesOf(results[0] as HostTensor)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('values that must be known before the run', () => {
  const model = buildModel({
    inputs: [buildValue('x', [2, 3]), buildValue('axes', [1], 7)],
    nodes: [buildNode('ReduceSum', ['x', 'axes'], ['y'])],
    outputs: [buildValue('y', null)],
  });

  it('are asked for by name, and no others are fixed', () => {
    expect(analyzeModel(model).refusals[0]?.needs).toEqual([{ input: 'axes', what: 'value' }]);
    const given = tensors({ x: f32([2, 3], [1, 2, 3, 4, 5, 6]), axes: i64([1], [1]) });
    const imported = specializeModel(model, given);
    expect(imported.fixed).toEqual(['axes']);
    expect(imported.refusals).toEqual([]);
    expect(imported.graph.inputs.length).toBe(1);
    const results = interpret(imported.graph, flattenInputs(imported, given));
    expect(valuesOf(results[0] as HostTensor)).toEqual([6, 15]);
  });
});
