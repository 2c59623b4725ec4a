/** Rules of primitives that combine elements: reduce, contract, window, cumulate. */
import { type DType, dtypeFacts } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import {
  add,
  floorDivide,
  maximum,
  multiply,
  printExpression,
  type Size,
  subtract,
} from '../base/expression.js';
import { type ErrorBound, exactBound, multiplied, summed } from './bounds.js';
import type { Attributes } from './node.js';
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
  requireClass,
  requireDType,
  requireEqual,
  requireSizes,
  second,
  shapeError,
} from './rule.js';

/** Accumulation is at least as wide as the elements and of their kind. */
function requireAccumulate(op: string, dtype: DType, accumulate: DType): void {
  const [from, to] = [dtypeFacts[dtype], dtypeFacts[accumulate]];
  const same = (from.kind === 'float') === (to.kind === 'float');
  if (!same || to.bits < from.bits || to.kind === 'bool' || to.kind === 'string') {
    throw dtypeError(op, accumulate, `it cannot accumulate ${dtype}`);
  }
}

const reduce: OpRule<'reduce'> = {
  class: 'reduction',
  arity: 1,
  infer: (inputs, { axes, accumulate }) => {
    const x = first(inputs);
    requireClass('reduce', x.dtype, 'number');
    requireAccumulate('reduce', x.dtype, accumulate);
    requireAxes('reduce', axes, x.shape.length);
    const shape = x.shape.filter((_, axis) => !axes.includes(axis));
    return one(x.dtype, shape);
  },
  bound: summed,
  differentiable: true,
};

const contract: OpRule<'contract'> = {
  class: 'contraction',
  arity: 2,
  infer: (inputs, { batch, contracted, accumulate, dtype }) => {
    const [a, b] = [first(inputs), second(inputs)];
    requireDType('contract', a.dtype, b.dtype);
    requireClass('contract', a.dtype, 'number');
    requireAccumulate('contract', a.dtype, accumulate);
    if ((dtypeFacts[dtype].kind === 'float') !== (dtypeFacts[a.dtype].kind === 'float')) {
      throw dtypeError('contract', dtype, `the operands are ${a.dtype}`);
    }
    const pairs = [...batch, ...contracted];
    const left = pairs.map(([axis]) => axis);
    const right = pairs.map(([, axis]) => axis);
    requireAxes('contract', left, a.shape.length);
    requireAxes('contract', right, b.shape.length);
    const requirements: Requirements = [];
    for (const [l, r] of pairs) {
      const what = `contract, axes ${l} and ${r}`;
      requireEqual(requirements, a.shape[l] as Size, b.shape[r] as Size, what, () =>
        failure('OC-SHAPE-02', {
          op: 'contract',
          left: printShape(a.shape),
          right: printShape(b.shape),
        }),
      );
    }
    const shape = [
      ...batch.map(([axis]) => a.shape[axis] as Size),
      ...a.shape.filter((_, axis) => !left.includes(axis)),
      ...b.shape.filter((_, axis) => !right.includes(axis)),
    ];
    return one(dtype, shape, requirements);
  },
  bound: summed,
  differentiable: true,
};

/** Elements that an axis of `count` spans when `dilation − 1` holes stand between each two. */
export function dilatedExtent(count: Size, dilation: number): Size {
  if (dilation === 1) return count;
  return maximum(add(multiply(subtract(count, 1), dilation), 1), 0);
}

/** Output size of one axis of a window. */
export function windowExtent(
  extent: Size,
  kernel: Size,
  stride: number,
  padding: readonly [Size, Size],
  kernelDilation: number,
  inputDilation: number,
): Size {
  const padded = add(dilatedExtent(extent, inputDilation), padding[0], padding[1]);
  return add(floorDivide(subtract(padded, dilatedExtent(kernel, kernelDilation)), stride), 1);
}

function windowSpace(
  into: Requirements,
  x: Operand,
  kernel: readonly Size[],
  attributes: Attributes['window'],
): readonly Size[] {
  const { strides, padding, kernelDilation, inputDilation } = attributes;
  const rank = x.shape.length - 2;
  for (const list of [kernel, strides, padding, kernelDilation, inputDilation]) {
    if (list.length !== rank) throw shapeError('window', `${list.length} entries for ${rank} axes`);
  }
  for (const amount of [...strides, ...kernelDilation, ...inputDilation]) {
    if (!Number.isSafeInteger(amount) || amount < 1) {
      throw shapeError('window', `stride or dilation ${amount} is not positive`);
    }
  }
  return kernel.map((extent, i) => {
    const size = windowExtent(
      x.shape[i + 2] as Size,
      extent,
      strides[i] as number,
      padding[i] as readonly [Size, Size],
      kernelDilation[i] as number,
      inputDilation[i] as number,
    );
    requireAtLeast(into, size, 0, `window, axis ${i + 2}`, () =>
      shapeError('window', `the kernel is larger than the padded input on axis ${i + 2}`),
    );
    return size;
  });
}

const window: OpRule<'window'> = {
  class: 'window',
  arity: [1, 2],
  infer: (inputs, attributes) => {
    const { kind, groups, accumulate } = attributes;
    const x = first(inputs);
    if (x.shape.length < 2) throw shapeError('window', `no axes N and C in ${printShape(x.shape)}`);
    requireClass('window', x.dtype, 'number');
    requireAccumulate('window', x.dtype, accumulate);
    const requirements: Requirements = [];
    const [batch, channels] = [x.shape[0] as Size, x.shape[1] as Size];
    if (kind !== 'convolve') {
      if (inputs.length !== 1) throw shapeError('window', 'pooling has one input');
      requireSizes(requirements, 'window', attributes.kernel);
      const space = windowSpace(requirements, x, attributes.kernel, attributes);
      return one(x.dtype, [batch, channels, ...space], requirements);
    }
    if (inputs.length !== 2) throw shapeError('window', 'convolution has two inputs');
    const w = second(inputs);
    requireDType('window', x.dtype, w.dtype);
    const space = windowSpace(requirements, x, w.shape.slice(2), attributes);
    const [outputs, perGroup] = [w.shape[0] as Size, w.shape[1] as Size];
    const error = () =>
      shapeError(
        'window',
        `${printExpression(channels)} channels, ${groups} groups, weights ${printShape(w.shape)}`,
      );
    requireEqual(requirements, channels, multiply(perGroup, groups), 'window, channels', error);
    if (typeof outputs === 'number' && outputs % groups !== 0) throw error();
    return one(x.dtype, [batch, outputs, ...space], requirements);
  },
  bound: summed,
  differentiable: true,
};

const cumulate: OpRule<'cumulate'> = {
  class: 'prefix',
  arity: 1,
  infer: (inputs, { axis }) => {
    const x = first(inputs);
    requireClass('cumulate', x.dtype, 'number');
    requireAxis('cumulate', axis, x.shape.length);
    return one(x.dtype, x.shape);
  },
  bound: summed,
  differentiable: true,
};

/** The bound of a reduction by its kind; minimum and maximum are exact. */
export function reductionBound(
  kind: Attributes['window']['kind'],
  dtype: DType,
  length: number,
  accumulate: DType,
): ErrorBound {
  if (kind === 'minimum' || kind === 'maximum') return exactBound;
  if (kind === 'product') return multiplied(dtype, length, accumulate);
  return summed(dtype, length, accumulate);
}

export const reductionRules = { reduce, contract, window, cumulate };
