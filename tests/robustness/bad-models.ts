/**
 * Model files that a loader must refuse, each with the code of its error: the cases of path, wire,
 * structure and operators that other loaders have fallen for.
 */
import {
  type AttributeProto,
  buildGraph,
  buildModel,
  buildNode,
  buildValue,
  type Dimension,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  tensorProto,
  WireWriter,
  writeModel,
} from '@open-claw/formats';

export interface BadModel {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Any of these codes is right; each says what is wrong in its own words. */
  readonly codes: readonly string[];
  /** Exit code of `claw run`: 1 damaged or wrong, 3 refused. */
  readonly exit: 1 | 2 | 3;
  /** Inputs as JSON text by name, where the model gets that far. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** Only a run can tell: `claw check` has no values to look at. */
  readonly onlyRun?: true;
}

export const longName = `${'n'.repeat(100_000)}\u202e\n\u0007`;

export const ints = (name: string, ...values: (number | bigint)[]): AttributeProto => ({
  name,
  kind: 'ints',
  value: values.map(BigInt),
});

export const int = (name: string, value: number | bigint): AttributeProto => ({
  name,
  kind: 'int',
  value: BigInt(value),
});

export const text = (name: string, value: string): AttributeProto => ({
  name,
  kind: 'string',
  value,
});

export const i64 = (name: string, shape: readonly number[], values: readonly (number | bigint)[]) =>
  tensorProto(name, { dtype: 'i64', shape, data: BigInt64Array.from(values.map(BigInt)) });

const f32 = (name: string, shape: readonly number[]): TensorProto => {
  const count = shape.reduce((a, b) => a * b, 1);
  return tensorProto(name, { dtype: 'f32', shape, data: new Float32Array(count).fill(0.5) });
};

/** x → nodes → y with x and y of float. */
export function modelOf(
  nodes: readonly NodeProto[],
  shape: readonly Dimension[] | null = [2, 3],
  graph: Partial<GraphProto> = {},
  parts: Partial<Omit<ModelProto, 'graph'>> = {},
): Uint8Array {
  const inputs = [buildValue('x', shape)];
  return writeModel(
    buildModel({ nodes, inputs, outputs: [buildValue('y', null)], ...graph }, parts),
  );
}

export const buildModelWith = (
  graph: Partial<GraphProto>,
  parts: Partial<Omit<ModelProto, 'graph'>>,
): Uint8Array => writeModel(buildModel(graph, parts));

const relu = buildNode('Relu', ['x'], ['y']);
const withTensor = (tensor: TensorProto): Uint8Array =>
  modelOf([buildNode('Add', ['x', 'w'], ['y'])], [2, 3], { initializers: [tensor] });
const external = (...entries: readonly [string, string][]): Uint8Array =>
  withTensor({
    name: 'w',
    dims: [2, 3],
    dataType: 1,
    externalData: entries.map(([key, value]) => ({ key, value })),
  });

const bad = (
  name: string,
  bytes: Uint8Array,
  codes: string | readonly string[],
  exit: BadModel['exit'] = 1,
  more: Partial<BadModel> = {},
): BadModel => ({ name, bytes, codes: [codes].flat(), exit, ...more });

/** Files that the tests put beside the models, for the cases of external data. */
export const besideFiles = { data: 'w.bin', link: 'link.bin', hard: 'hard.bin', folder: 'outside' };

function externalCases(): readonly BadModel[] {
  const { data, link, hard, folder } = besideFiles;
  const at = (location: string): Uint8Array => external(['location', location]);
  return [
    bad('external-parent', at('../../etc/passwd'), 'OC-ONNX-12'),
    bad('external-absolute', at('/etc/passwd'), 'OC-ONNX-12'),
    bad('external-windows', at('C:\\secret.bin'), 'OC-ONNX-12'),
    bad('external-link', at(link), 'OC-ONNX-16'),
    bad('external-hard-link', at(hard), 'OC-ONNX-16'),
    bad('external-linked-folder', at(`${folder}/w.bin`), 'OC-ONNX-16'),
    bad('external-absent', at('absent.bin'), 'OC-ONNX-15'),
    bad('external-negative', external(['location', data], ['offset', '-8']), 'OC-ONNX-13'),
    bad('external-past-end', external(['location', data], ['offset', '4096']), 'OC-ONNX-13'),
    bad(
      'external-overflow',
      external(['location', data], ['offset', '9223372036854775800'], ['length', '24']),
      'OC-ONNX-13',
    ),
    bad('external-prototype', external(['location', data], ['__proto__', '1']), 'OC-ONNX-14'),
    bad('external-constructor', external(['location', data], ['constructor', 'x']), 'OC-ONNX-14'),
  ];
}

function tensorCases(): readonly BadModel[] {
  const raw = (bytes: number, dims: readonly number[] = [2, 3], dataType = 1): Uint8Array =>
    withTensor({ name: 'w', dims, dataType, rawData: new Uint8Array(bytes) });
  return [
    bad('raw-short', raw(20), 'OC-ONNX-07'),
    bad('raw-long', raw(28), 'OC-ONNX-07'),
    bad('raw-odd', raw(23), 'OC-ONNX-07'),
    bad('packed-4-bit-short', raw(2, [2, 3], 22), 'OC-ONNX-07'),
    bad('packed-2-bit-short', raw(1, [2, 3], 26), 'OC-ONNX-07'),
    bad('dims-product', raw(24, [2 ** 31, 2 ** 31]), 'OC-ONNX-06'),
    bad('dims-negative', raw(24, [-2, -3]), 'OC-ONNX-06'),
    bad('dims-claims-exabytes', raw(24, [2 ** 50]), 'OC-ONNX-07'),
    bad(
      'float-data-short',
      withTensor({ name: 'w', dims: [2, 3], dataType: 1, floatData: new Float32Array(5) }),
      'OC-ONNX-08',
    ),
  ];
}

/** A varint of ten bytes that never ends, and friends. */
function wireCases(): readonly BadModel[] {
  const good = modelOf([relu]);
  const beyond = new WireWriter().varint(1, 8).finish();
  return [
    bad('empty', new Uint8Array(0), 'OC-ONNX-01'),
    bad('truncated', good.subarray(0, good.length - 9), 'OC-PB-01'),
    bad(
      'length-of-2-GiB',
      Uint8Array.of(...beyond, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2),
      'OC-PB-01',
    ),
    bad('endless-varint', Uint8Array.of(0x08, ...new Uint8Array(12).fill(0xff)), 'OC-PB-02'),
    bad('wire-type', new WireWriter().varint(7, 5).finish(), 'OC-PB-03'),
    bad('group', Uint8Array.of(0x7b, 0x7c), 'OC-PB-04'),
    bad(
      'not-a-model',
      new TextEncoder().encode('<html>404</html>'),
      /* any of */ ['OC-PB-01', 'OC-PB-03', 'OC-PB-04', 'OC-ONNX-01'],
    ),
    bad('twice-a-graph', twoGraphs(), 'OC-PB-07'),
    bad('nested-messages', nestedMessages(3000), ['OC-PB-05', 'OC-ONNX-24']),
    bad('nested-graphs', modelOf([nestedIf(100)], [2, 3]), ['OC-PB-05', 'OC-ONNX-24']),
    bad('empty-nodes', emptyNodes(25_000_000), 'OC-PB-09'),
  ];
}

const twoGraphs = (): Uint8Array =>
  new WireWriter().varint(1, 8).blob(7, new Uint8Array(0)).blob(7, new Uint8Array(0)).finish();

/** Types within types. */
function nestedMessages(depth: number): Uint8Array {
  let inner = new Uint8Array(0);
  for (let i = 0; i < depth; i++) {
    inner = new WireWriter().blob(4, new WireWriter().blob(1, inner).finish()).finish() as never;
  }
  const input = new WireWriter().text(1, 'x').blob(2, inner).finish();
  return new WireWriter().varint(1, 8).blob(7, new WireWriter().blob(11, input).finish()).finish();
}

function nestedIf(depth: number): NodeProto {
  let node = buildNode('Relu', ['x'], [`y${depth}`]);
  for (let i = depth - 1; i >= 0; i--) {
    const name = i === 0 ? 'y' : `y${i}`;
    const branch = buildGraph({ nodes: [node], outputs: [buildValue(`y${i + 1}`, [2, 3])] });
    const both = (['then_branch', 'else_branch'] as const).map((each, side) => ({
      name: each,
      kind: 'graph' as const,
      value: side === 0 ? branch : buildGraph({ outputs: [buildValue('x', [2, 3])] }),
    }));
    node = buildNode('If', ['x'], [name], both);
  }
  return node;
}

/** Two bytes per node: memory far beyond the file if each became an object. */
function emptyNodes(count: number): Uint8Array {
  const nodes = new Uint8Array(2 * count);
  for (let i = 0; i < count; i++) nodes[2 * i] = 0x0a;
  return new WireWriter().varint(1, 8).blob(7, nodes).finish();
}

function functionOf(name: string, nodes: readonly NodeProto[]): FunctionProto {
  const lists = { attributeNames: [], attributeDefaults: [], valueInfo: [], metadata: [] };
  const opsetImport = [
    { domain: '', version: 21 },
    { domain: 'local', version: 1 },
  ];
  const texts = { domain: 'local', overload: '', docString: '' };
  return { name, inputs: ['a'], outputs: ['b'], nodes, opsetImport, ...texts, ...lists };
}

const callOf = (name: string): NodeProto => buildNode(name, ['a'], ['b'], [], { domain: 'local' });

function graphCases(): readonly BadModel[] {
  const n = longName;
  const opsetImport = [
    { domain: '', version: 21 },
    { domain: 'local', version: 1 },
  ];
  const call = [buildNode('F', ['x'], ['y'], [], { domain: 'local' })];
  const cyclic = [functionOf('F', [callOf('G')]), functionOf('G', [callOf('F')])];
  const bomb = Array.from({ length: 40 }, (_, i) =>
    functionOf(i === 0 ? 'F' : `F${i}`, [
      buildNode(i === 39 ? 'Relu' : `F${i + 1}`, ['a'], ['c'], [], {
        domain: i === 39 ? '' : 'local',
      }),
      buildNode(i === 39 ? 'Relu' : `F${i + 1}`, ['c'], ['b'], [], {
        domain: i === 39 ? '' : 'local',
      }),
    ]),
  );
  const add = (left: string, right: string, out: string): NodeProto =>
    buildNode('Add', [left, right], [out], [], { name: n });
  return [
    bad('function-cycle', modelOf(call, [2], {}, { functions: cyclic, opsetImport }), 'OC-ONNX-23'),
    bad('function-bomb', modelOf(call, [2], {}, { functions: bomb, opsetImport }), 'OC-ONNX-31'),
    bad('cycle', modelOf([add('x', `${n}b`, `${n}a`), add('x', `${n}a`, `${n}b`)]), 'OC-ONNX-21'),
    bad('order', modelOf([add('x', n, 'y'), buildNode('Relu', ['x'], [n])]), 'OC-ONNX-20'),
    bad('undefined-input', modelOf([add('x', n, 'y')]), 'OC-ONNX-19'),
    bad('undefined-output', modelOf([relu], [2], { outputs: [buildValue(n, [2])] }), 'OC-ONNX-22'),
    bad('duplicate', modelOf([buildNode('Relu', ['x'], [n]), buildNode('Abs', ['x'], [n])]), [
      'OC-ONNX-18',
    ]),
    bad('untyped', modelOf([relu], [2], { inputs: [{ name: 'x', type: null }] }), 'OC-ONNX-25'),
    bad('dtype-0', modelOf([relu], [2], { inputs: [buildValue('x', [2], 0)] }), 'OC-ONNX-09'),
    bad('dtype-99', modelOf([relu], [2], { inputs: [buildValue(n, [2], 99)] }), 'OC-ONNX-09'),
    bad('no-opset', modelOf([relu], [2], {}, { opsetImport: [] }), 'OC-ONNX-03'),
    bad(
      'newer-opset',
      modelOf([relu], [2], {}, { opsetImport: [{ domain: '', version: 9999 }] }),
      'OC-ONNX-04',
      3,
    ),
    bad('newer-ir', modelOf([relu], [2], {}, { irVersion: 99 }), 'OC-ONNX-02', 3),
    bad(
      'unknown-domain',
      modelOf([buildNode('Relu', ['x'], ['y'], [], { domain: n })]),
      ['OC-ONNX-03', 'OC-ONNX-05'],
      3,
    ),
    bad('unknown-operator', modelOf([buildNode(n, ['x'], ['y'])]), 'OC-ONNX-32', 3),
  ];
}

/** Operators whose attributes or shapes are impossible. */
function operatorCases(): readonly BadModel[] {
  const refused = ['OC-ONNX-32', 'OC-SHAPE-03', 'OC-SHAPE-01', 'OC-ONNX-26', 'OC-REFUSED-01'];
  const image = [1, 1, 4, 4];
  const convolve = (weight: readonly number[], ...attributes: AttributeProto[]): Uint8Array =>
    modelOf([buildNode('Conv', ['x', 'w'], ['y'], attributes)], image, {
      initializers: [f32('w', weight)],
    });
  const pool = (...attributes: AttributeProto[]): Uint8Array =>
    modelOf([buildNode('MaxPool', ['x'], ['y'], attributes)], image);
  const k = [1, 1, 3, 3];
  const operator = (name: string, bytes: Uint8Array, more: Partial<BadModel> = {}): BadModel =>
    bad(name, bytes, refused, 3, more);
  const withShape = (op: string, values: readonly (number | bigint)[]): Uint8Array =>
    modelOf([buildNode(op, ['x', 's'], ['y'])], [2, 3], {
      initializers: [i64('s', [values.length], values)],
    });
  return [
    operator('conv-rank', convolve([1, 1, 3])),
    operator('conv-channels', convolve([1, 5, 3, 3])),
    operator('conv-stride-0', convolve(k, ints('strides', 0, 1))),
    operator('conv-stride-negative', convolve(k, ints('strides', -1, 1))),
    operator('conv-dilation-0', convolve(k, ints('dilations', 0, 0))),
    operator('conv-group-0', convolve(k, int('group', 0))),
    operator('conv-group-negative', convolve(k, int('group', -2))),
    operator('conv-pads-int32', convolve(k, ints('pads', 2n ** 40n, 2n ** 62n, 0, 0))),
    operator('conv-pads-int64', convolve(k, ints('pads', 2n ** 63n - 1n, 0, 0, 1))),
    operator('conv-pads-rank', convolve(k, ints('pads', 1))),
    operator('conv-auto-pad', convolve(k, text('auto_pad', longName))),
    operator('pool-kernel-0', pool(ints('kernel_shape', 0, 2))),
    operator('pool-no-kernel', pool()),
    operator('pool-huge', pool(ints('kernel_shape', 2 ** 40, 2 ** 40))),
    operator('pool-stride-0', pool(ints('kernel_shape', 2, 2), ints('strides', 0, 0))),
    operator(
      'slice-rank',
      modelOf([buildNode('Slice', ['x', 'a', 'b'], ['y'])], [2, 3], {
        initializers: [i64('a', [3], [0, 0, 0]), i64('b', [3], [1, 1, 1])],
      }),
    ),
    operator(
      'slice-step-0',
      modelOf([buildNode('Slice', ['x', 'a', 'b', 'c', 'd'], ['y'])], [2, 3], {
        initializers: [
          i64('a', [1], [0]),
          i64('b', [1], [1]),
          i64('c', [1], [0]),
          i64('d', [1], [0]),
        ],
      }),
    ),
    operator(
      'split-sum',
      modelOf([buildNode('Split', ['x', 's'], ['y', 'z'], [int('axis', 1)])], [2, 3], {
        initializers: [i64('s', [2], [0, 2])],
      }),
    ),
    operator(
      'split-negative',
      modelOf([buildNode('Split', ['x', 's'], ['y', 'z'], [int('axis', 1)])], [2, 3], {
        initializers: [i64('s', [2], [-1, 4])],
      }),
    ),
    operator('split-scalar', modelOf([buildNode('Split', ['x'], ['y'])], [])),
    operator(
      'one-hot-negative',
      modelOf([buildNode('OneHot', ['i', 'n', 'v'], ['y'])], [2, 3], {
        initializers: [i64('i', [2], [0, 1]), i64('n', [], [-5]), f32('v', [2])],
      }),
    ),
    operator(
      'einsum-text',
      modelOf([buildNode('Einsum', ['x'], ['y'], [text('equation', '(->)')])]),
    ),
    operator(
      'einsum-rank',
      modelOf([buildNode('Einsum', ['x'], ['y'], [text('equation', 'abcdef->a')])]),
    ),
    operator('reshape-rank-huge', withShape('Reshape', new Array(100_000).fill(1))),
    operator('reshape-size', withShape('Reshape', [2n ** 62n, 2n ** 62n])),
    operator('unsqueeze-axis-billion', withShape('Unsqueeze', [10 ** 9])),
    operator(
      'unsqueeze-many',
      withShape(
        'Unsqueeze',
        Array.from({ length: 5000 }, (_, i) => i),
      ),
    ),
    operator('expand-negative', withShape('Expand', [-3, 2])),
    operator('tile-rank', withShape('Tile', [1, 1, 1, 1])),
    operator('tile-negative', withShape('Tile', [-1, 1])),
    operator(
      'transpose-perm',
      modelOf([buildNode('Transpose', ['x'], ['y'], [ints('perm', 5, 7)])]),
    ),
    operator(
      'concat-axis',
      modelOf([buildNode('Concat', ['x', 'x'], ['y'], [int('axis', 10n ** 12n)])]),
    ),
    operator('softmax-axis', modelOf([buildNode('Softmax', ['x'], ['y'], [int('axis', 99)])])),
    operator('matmul-sizes', modelOf([buildNode('MatMul', ['x', 'x'], ['y'])])),
    operator('cast-dtype', modelOf([buildNode('Cast', ['x'], ['y'], [int('to', 77)])])),
    operator('no-inputs', modelOf([buildNode('Conv', ['x'], ['y'])])),
  ];
}

/** All of them; made when asked for, since some are large. */
export const badModels = (): readonly BadModel[] => [
  ...externalCases(),
  ...tensorCases(),
  ...wireCases(),
  ...graphCases(),
  ...operatorCases(),
];
