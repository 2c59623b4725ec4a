/** Rules of sources and of primitives that only place elements anew. */
import { dtypeFacts } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import {
  add,
  choose,
  equal,
  equalTo,
  floorDivide,
  multiply,
  printExpression,
  product,
  provablyLess,
  type Size,
  subtract,
  variablesOf,
} from '../base/expression.js';
import { moved } from './bounds.js';
import {
  dtypeError,
  first,
  type Operand,
  type OpRule,
  one,
  printShape,
  type Requirements,
  requireAtLeast,
  requireAxes,
  requireAxis,
  requireDType,
  requireEqual,
  requireSizes,
  second,
  shapeError,
} from './rule.js';

const source = { class: 'source', bound: moved, differentiable: false } as const;
const view = { class: 'view', arity: 1, bound: moved, differentiable: true } as const;

const input: OpRule<'input'> = {
  ...source,
  arity: 0,
  infer: (_, { type }) => {
    // A kernel would leave out what lies beyond the extent of a loop index.
    const names = type.shape.flatMap((size) =>
      typeof size === 'number' ? [] : [...variablesOf(size).values()],
    );
    const index = names.find(({ extent }) => extent !== undefined);
    if (index !== undefined) throw shapeError('input', `${index.name} is a loop index, not a size`);
    return one(type.dtype, type.shape);
  },
};

const constant: OpRule<'constant'> = {
  ...source,
  arity: 0,
  infer: (_, { tensor }) => {
    const count = tensor.shape.reduce((total, size) => total * size, 1);
    if (count !== tensor.data.length) {
      throw shapeError('constant', `${tensor.data.length} elements in ${printShape(tensor.shape)}`);
    }
    return one(tensor.dtype, tensor.shape);
  },
};

const iota: OpRule<'iota'> = {
  ...source,
  arity: 0,
  infer: (_, { axis, type }) => {
    requireAxis('iota', axis, type.shape.length);
    const { kind } = dtypeFacts[type.dtype];
    if (kind === 'bool' || kind === 'string') throw dtypeError('iota', type.dtype, 'numbers only');
    return one(type.dtype, type.shape);
  },
};

const size: OpRule<'size'> = { ...source, arity: 0, infer: () => one('i64', []) };

const randomBits: OpRule<'randomBits'> = {
  ...source,
  arity: 1,
  infer: (inputs, { shape }) => {
    const key = first(inputs);
    if (key.dtype !== 'u32') throw dtypeError('randomBits', key.dtype, 'the key is u32');
    if (key.shape.length !== 1 || !equal(key.shape[0] as Size, 2)) {
      throw shapeError('randomBits', `the key has shape ${printShape(key.shape)}, not [2]`);
    }
    const requirements: Requirements = [];
    requireSizes(requirements, 'randomBits', shape);
    return one('u32', shape, requirements);
  },
};

const reshape: OpRule<'reshape'> = {
  ...view,
  infer: (inputs, { shape }) => {
    const x = first(inputs);
    const requirements: Requirements = [];
    requireSizes(requirements, 'reshape', shape);
    requireEqual(
      requirements,
      product(x.shape),
      product(shape),
      'reshape, number of elements',
      () =>
        failure('OC-SHAPE-01', {
          op: 'reshape',
          left: printShape(x.shape),
          right: printShape(shape),
          reason: 'the numbers of elements differ',
        }),
    );
    return one(x.dtype, shape, requirements);
  },
};

const permute: OpRule<'permute'> = {
  ...view,
  infer: (inputs, { axes }) => {
    const x = first(inputs);
    requireAxes('permute', axes, x.shape.length);
    if (axes.length !== x.shape.length) {
      throw shapeError('permute', `${axes.length} axes for ${x.shape.length}`);
    }
    const shape = axes.map((axis) => x.shape[axis] as Size);
    return one(x.dtype, shape);
  },
};

const expand: OpRule<'expand'> = {
  ...view,
  infer: (inputs, { shape }) => {
    const x = first(inputs);
    const requirements: Requirements = [];
    const error = () =>
      failure('OC-SHAPE-01', {
        op: 'expand',
        left: printShape(x.shape),
        right: printShape(shape),
        reason: 'a size is neither 1 nor equal',
      });
    if (shape.length !== x.shape.length) throw error();
    // Symbolic targets hold what the operands' sizes hold: only numbers can be negative.
    requireSizes(
      requirements,
      'expand',
      shape.filter((to) => typeof to === 'number'),
    );
    shape.forEach((to, axis) => {
      const from = x.shape[axis] as Size;
      if (equal(from, 1) || equal(from, to)) return;
      const wanted = choose(equalTo(from, 1), 1, to);
      requireEqual(requirements, from, wanted, `broadcast, axis ${axis}`, error);
    });
    return one(x.dtype, shape, requirements);
  },
};

const slice: OpRule<'slice'> = {
  ...view,
  infer: (inputs, { starts, sizes, steps }) => {
    const x = first(inputs);
    const rank = x.shape.length;
    if (starts.length !== rank || sizes.length !== rank || steps.length !== rank) {
      throw shapeError('slice', `starts, sizes and steps need ${rank} entries`);
    }
    const requirements: Requirements = [];
    requireSizes(requirements, 'slice', sizes);
    sizes.forEach((count, axis) => {
      const [start, step, extent] = [starts[axis] as Size, steps[axis] ?? 1, x.shape[axis] as Size];
      const error = () =>
        shapeError('slice', `axis ${axis} of size ${printExpression(extent)} is left`);
      if (!Number.isSafeInteger(step) || step < 1) {
        throw shapeError('slice', `step ${step} is not positive`);
      }
      requireAtLeast(requirements, start, 0, `slice start, axis ${axis}`, error);
      if (count === 0) return;
      const end = add(start, multiply(subtract(count, 1), step), 1);
      requireAtLeast(requirements, extent, end, `slice end, axis ${axis}`, error);
    });
    return one(x.dtype, sizes, requirements);
  },
};

const pad: OpRule<'pad'> = {
  ...view,
  infer: (inputs, { before, after }) => {
    const x = first(inputs);
    if (before.length !== x.shape.length || after.length !== x.shape.length) {
      throw shapeError('pad', `before and after need ${x.shape.length} entries`);
    }
    const requirements: Requirements = [];
    requireSizes(requirements, 'pad', before);
    requireSizes(requirements, 'pad', after);
    const shape = x.shape.map((extent, axis) =>
      add(extent, before[axis] as Size, after[axis] as Size),
    );
    return one(x.dtype, shape, requirements);
  },
};

const flip: OpRule<'flip'> = {
  ...view,
  infer: (inputs, { axes }) => {
    const x = first(inputs);
    requireAxes('flip', axes, x.shape.length);
    return one(x.dtype, x.shape);
  },
};

const concat: OpRule<'concat'> = {
  ...view,
  arity: [1, Number.POSITIVE_INFINITY],
  infer: (inputs, { axis }) => {
    const { dtype, shape } = first(inputs);
    requireAxis('concat', axis, shape.length);
    const requirements: Requirements = [];
    for (const other of inputs.slice(1)) {
      requireDType('concat', dtype, other.dtype);
      requireSameBut(requirements, 'concat', shape, other, axis);
    }
    const total = add(0, ...inputs.map((operand) => operand.shape[axis] as Size));
    return one(dtype, shape.with(axis, total), requirements);
  },
};

function requireSameBut(
  into: Requirements,
  op: string,
  shape: readonly Size[],
  other: Operand,
  except: number,
): void {
  const error = () =>
    failure('OC-SHAPE-01', {
      op,
      left: printShape(shape),
      right: printShape(other.shape),
      reason: `sizes must be equal but for axis ${except}`,
    });
  if (other.shape.length !== shape.length) throw error();
  shape.forEach((extent, axis) => {
    if (axis === except) return;
    requireEqual(into, extent, other.shape[axis] as Size, `${op}, axis ${axis}`, error);
  });
}

const unpack: OpRule<'unpack'> = {
  ...view,
  differentiable: false,
  infer: (inputs, { dtype }) => {
    const x = first(inputs);
    if (x.dtype !== 'u8') throw dtypeError('unpack', x.dtype, 'packed bytes are u8');
    const { bits, kind } = dtypeFacts[dtype];
    if (kind === 'string' || kind === 'bool' || bits > 8) {
      throw dtypeError('unpack', dtype, 'types of at most 8 bits only');
    }
    const axis = x.shape.length - 1;
    if (axis < 0) throw shapeError('unpack', 'a scalar has no last axis');
    const count = multiply(x.shape[axis] as Size, floorDivide(8, bits));
    return one(dtype, x.shape.with(axis, count));
  },
};

const update: OpRule<'update'> = {
  class: 'indexed',
  arity: 3,
  bound: moved,
  differentiable: true,
  infer: (inputs) => {
    const [data, piece, offsets] = [first(inputs), second(inputs), inputs[2] as Operand];
    requireDType('update', data.dtype, piece.dtype);
    const rank = data.shape.length;
    if (offsets.dtype !== 'i64') throw dtypeError('update', offsets.dtype, 'offsets are i64');
    if (offsets.shape.length !== 1 || !equal(offsets.shape[0] as Size, rank)) {
      throw shapeError('update', `offsets have shape ${printShape(offsets.shape)}, not [${rank}]`);
    }
    const requirements: Requirements = [];
    const error = () =>
      failure('OC-SHAPE-01', {
        op: 'update',
        left: printShape(data.shape),
        right: printShape(piece.shape),
        reason: 'the piece must fit into the data',
      });
    if (piece.shape.length !== rank) throw error();
    data.shape.forEach((extent, axis) => {
      const part = piece.shape[axis] as Size;
      if (provablyLess(extent, part)) throw error();
      requireAtLeast(requirements, extent, part, `update, axis ${axis}`, error);
    });
    return one(data.dtype, data.shape, requirements);
  },
};

export const viewRules = {
  input,
  constant,
  iota,
  size,
  randomBits,
  reshape,
  permute,
  expand,
  slice,
  pad,
  flip,
  concat,
  unpack,
  update,
};
