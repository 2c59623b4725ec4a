/** Operators of ai.onnx.ml: encoders, scalers, linear models and ensembles of trees. */
import type { OperatorCall } from './context.js';
import {
  build,
  type HostTensor,
  hostTensor,
  isFloat,
  type Node,
  type Size,
  valuesOf,
} from './core.js';
import { wrapIndices } from './lookups.js';
import { treeEnsemble } from './nn-trees.js';
import type { OperatorTable } from './registry.js';
import { hostValue, type Result } from './value.js';

/** Columns of the last axis. */
function extractFeatures(call: OperatorCall): Node {
  const x = call.tensor(0);
  const axis = x.shape.length - 1;
  const places = build.reshape(call.tensor(1), [call.tensor(1).shape.at(-1) ?? 1]);
  const result = build.gather(x, wrapIndices(places, x.shape[axis] as Size), axis);
  return x.shape.length === 1 ? build.unsqueeze(result, [0]) : result;
}

function binarize(call: OperatorCall): Node {
  const x = call.tensor(0);
  return build.cast(build.greater(x, call.float('threshold', 0)), x.dtype);
}

/** A list attribute of an encoder in whichever of its forms it is given. */
function listOf(call: OperatorCall, stem: string): HostTensor | undefined {
  const given = call.hasAttribute(`${stem}_tensor`)
    ? call.tensorAttribute(`${stem}_tensor`)
    : undefined;
  if (given !== undefined) return given;
  for (const [suffix, dtype] of [
    ['int64', 'i64'],
    ['float', 'f32'],
    ['string', 'string'],
  ] as const) {
    const name = stem === 'default' ? `default_${suffix}` : `${stem}_${suffix}s`;
    const found = call.attribute(name);
    if (found === undefined) continue;
    const single = stem === 'default';
    const values: readonly (number | bigint | string)[] =
      dtype === 'string'
        ? single
          ? [call.text(name)]
          : call.texts(name)
        : dtype === 'i64'
          ? (single ? [call.int(name)] : call.ints(name)).map(BigInt)
          : single
            ? [call.float(name)]
            : call.floats(name);
    return hostTensor(dtype, [values.length], values);
  }
  return undefined;
}

const usualDefaults: Readonly<Record<string, string | number | bigint>> = {
  string: '_Unused',
  i64: -1n,
  f32: -0,
};

/** Values by key; what is not among the keys becomes the default. */
function encodeLabels(call: OperatorCall): Result {
  const [keys, values] = [listOf(call, 'keys'), listOf(call, 'values')];
  if (keys === undefined || values === undefined) throw call.refuse('keys or values are missing');
  const given = listOf(call, 'default');
  const fallback =
    given !== undefined && given.dtype === values.dtype
      ? valuesOf(given)[0]
      : (usualDefaults[values.dtype] ?? 0);
  const table = [...valuesOf(values), fallback as string | number | bigint];
  const all = hostTensor(values.dtype, [table.length], table);
  const value = call.value(0);
  if (value.kind === 'strings') {
    const names = valuesOf(keys).map(String);
    const places = valuesOf(value.tensor).map((text) => {
      const at = names.indexOf(String(text));
      return at < 0 ? names.length : at;
    });
    if (values.dtype !== 'string') {
      const at = build.constantOf('i64', value.tensor.shape, places.map(BigInt));
      return build.gather(build.constant(all), at, 0);
    }
    const texts = places.map((at) => table[at] as string);
    return hostValue(hostTensor('string', value.tensor.shape, texts));
  }
  if (values.dtype === 'string' || keys.dtype === 'string') {
    throw call.refuse('numbers become text only before the run');
  }
  const x = call.tensor(0);
  const wanted = build.cast(build.constant(keys), x.dtype);
  const line = build.unsqueeze(x, [x.shape.length]);
  const same = build.equal(line, wanted);
  const hit = isFloat(x.dtype)
    ? build.or(same, build.and(build.isNaN(line), build.isNaN(wanted)))
    : same;
  const axis = x.shape.length;
  const count = BigInt(table.length - 1);
  const at = build.iota({ dtype: 'i64', shape: [table.length - 1] }, 0);
  const place = build.minimumOver(build.select(hit, at, count), [axis]);
  return build.gather(build.constant(all), build.minimum(place, count), 0);
}

/** (x − offset) · scale by column. */
function scale(call: OperatorCall): Node {
  const x = build.cast(call.tensor(0), 'f32');
  const row = (name: string, fallback: number): Node => {
    const values = call.floats(name, [fallback]);
    return build.constantOf('f32', [values.length], values);
  };
  return build.multiply(build.subtract(x, row('offset', 0)), row('scale', 1));
}

/** Rows of length 1 in a norm. */
function normalize(call: OperatorCall): Node {
  const x = build.cast(call.tensor(0), 'f32');
  const axis = x.shape.length - 1;
  const norm = call.text('norm', 'MAX');
  if (norm === 'L1') return build.lpNormalization(x, axis, 1);
  if (norm === 'L2') return build.lpNormalization(x, axis, 2);
  if (norm !== 'MAX') throw call.refuse('unknown norm');
  const most = build.maximumOver(x, [axis], { keep: true });
  return build.divide(x, build.select(build.equal(most, 0), 1, most));
}

/** x · coefficientsᵀ + intercepts. */
function regress(call: OperatorCall): Node {
  const x = build.cast(call.tensor(0), 'f32');
  const targets = call.int('targets', 1);
  if (call.text('post_transform', 'NONE') !== 'NONE') throw call.refuse('a post transform');
  const values = call.floats('coefficients');
  const width = values.length / targets;
  if (!Number.isInteger(width)) throw call.refuse('coefficients do not fit the targets');
  const matrix = build.constantOf('f32', [targets, width], values);
  const product = build.contract(x, matrix, { contracted: [[x.shape.length - 1, 1]] });
  const shifts = call.floats('intercepts', []);
  if (shifts.length === 0) return product;
  return build.add(product, build.constantOf('f32', [shifts.length], shifts));
}

export const mlOperators: OperatorTable = {
  'ai.onnx.ml::ArrayFeatureExtractor': { versions: [1], import: extractFeatures },
  'ai.onnx.ml::Binarizer': { versions: [1], import: binarize },
  'ai.onnx.ml::LabelEncoder': { versions: [2, 4], import: encodeLabels },
  'ai.onnx.ml::Scaler': { versions: [1], import: scale },
  'ai.onnx.ml::Normalizer': { versions: [1], import: normalize },
  'ai.onnx.ml::LinearRegressor': { versions: [1], import: regress },
  'ai.onnx.ml::TreeEnsemble': { versions: [5], import: treeEnsemble },
};
