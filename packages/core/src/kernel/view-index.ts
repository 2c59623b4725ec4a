/** Index arithmetic of views: where an element of a view's result lies in its input. */
import {
  add,
  type Expression,
  equal,
  equalTo,
  floorDivide,
  modulo,
  multiply,
  product,
  provablyAtLeast,
  type Size,
  subtract,
} from '../base/expression.js';
import type { Node } from '../graph/node.js';

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly Size[]): Size[] {
  return shape.map((_, axis) => product(shape.slice(axis + 1)));
}

/** Flat row-major position of an index. */
export function flatten(shape: readonly Size[], index: readonly Expression[]): Expression {
  const strides = stridesOf(shape);
  return add(0, ...index.map((i, axis) => multiply(i, strides[axis] as Size)));
}

/** Index of a flat position. */
export function unflatten(shape: readonly Size[], flat: Expression): Expression[] {
  const strides = stridesOf(shape);
  return shape.map((size, axis) => {
    if (equal(size, 1)) return 0;
    const whole = floorDivide(flat, strides[axis] as Size);
    return axis === 0 ? whole : modulo(whole, size);
  });
}

/** Reshape as index arithmetic: groups of axes with equal products are treated on their own. */
export function reshapeIndex(
  from: readonly Size[],
  to: readonly Size[],
  index: readonly Expression[],
): Expression[] {
  const result: Expression[] = [];
  let f = 0;
  let t = 0;
  while (f < from.length || t < to.length) {
    const fromGroup: Size[] = [];
    const toGroup: Size[] = [];
    const toIndex: Expression[] = [];
    const takeTo = (): void => {
      toGroup.push(to[t] as Size);
      toIndex.push(index[t] as Expression);
      t++;
    };
    const takeFrom = (): void => {
      fromGroup.push(from[f] as Size);
      f++;
    };
    if (f < from.length) takeFrom();
    if (t < to.length) takeTo();
    while (!equal(product(fromGroup), product(toGroup)) && (f < from.length || t < to.length)) {
      const ahead = provablyAtLeast(product(fromGroup), product(toGroup));
      if (t < to.length && (ahead || f >= from.length)) takeTo();
      else takeFrom();
    }
    result.push(...unflatten(fromGroup, flatten(toGroup, toIndex)));
  }
  return result;
}

/** Index into a view's input; undefined where the node is no pure view. */
export function viewIndex(
  node: Node,
  index: readonly Expression[],
): readonly Expression[] | undefined {
  const x = node.inputs[0];
  if (x === undefined) return undefined;
  switch (node.op) {
    case 'reshape':
      return reshapeIndex(x.shape, node.shape, index);
    case 'permute': {
      const inner: Expression[] = [...index];
      node.attributes.axes.forEach((from, to) => {
        inner[from] = index[to] as Expression;
      });
      return inner;
    }
    case 'expand':
      return index.map((i, axis) => {
        const size = x.shape[axis] as Size;
        if (equal(size, node.shape[axis] as Size)) return i;
        // A size that may be 1 or not: stride 0 where it is 1.
        return multiply(i, subtract(1, equalTo(size, 1)));
      });
    case 'slice':
      return index.map((i, axis) =>
        add(
          node.attributes.starts[axis] as Size,
          multiply(i, node.attributes.steps[axis] as number),
        ),
      );
    case 'flip':
      return index.map((i, axis) =>
        node.attributes.axes.includes(axis) ? subtract(x.shape[axis] as Size, add(i, 1)) : i,
      );
    default:
      return undefined;
  }
}
