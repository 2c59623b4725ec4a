/**
 * Integer tensors as sizes: what a small shape computation holds, element by element, as
 * expressions over symbols. Shape → Gather → Concat → Reshape becomes plain size arithmetic.
 */
import { isInteger } from '../base/dtype.js';
import {
  add,
  floorDivide,
  lowerBound,
  maximum,
  minimum,
  modulo,
  multiply,
  negate,
  type Size,
  subtract,
} from '../base/expression.js';
import { readElement } from '../base/host-tensor.js';
import type { Node } from './node.js';

/** undefined elements are not known. */
type Elements = readonly (Size | undefined)[];

/** Longest tensor that is followed. */
const longest = 64;
/** Most nodes looked at for one value. */
const deepest = 4096;

const known = new WeakMap<Node, Elements | null>();

function countOf(shape: readonly Size[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    if (typeof size !== 'number') return undefined;
    count *= size;
  }
  return count <= longest ? count : undefined;
}

const follows = (node: Node): boolean =>
  (isInteger(node.dtype) || node.dtype === 'bool') &&
  node.results.length === 1 &&
  countOf(node.shape) !== undefined;

/** All elements of a small integer tensor, as far as they follow from sizes and constants. */
export function shapeValues(node: Node): Elements | undefined {
  const found = known.get(node);
  if (found !== undefined) return found ?? undefined;
  if (!follows(node)) return undefined;
  let looked = 0;
  for (const next of relevant(node)) {
    if (looked++ > deepest) break;
    if (!known.has(next)) known.set(next, follows(next) ? (compute(next) ?? null) : null);
  }
  return known.get(node) ?? undefined;
}

/** The nodes behind a value, without entering what is not followed. */
function relevant(node: Node): readonly Node[] {
  const stack = [node];
  const seen = new Set(stack);
  for (let next = stack.pop(); next !== undefined && seen.size <= deepest; next = stack.pop()) {
    for (const value of next.inputs) {
      if (!seen.has(value) && follows(value) && !known.has(value)) {
        seen.add(value);
        stack.push(value);
      }
    }
  }
  // Ascending ids put inputs first.
  return [...seen].sort((a, b) => a.id - b.id);
}

const valuesOfInput = (node: Node, i: number): Elements | undefined =>
  known.get(node.inputs[i] as Node) ?? undefined;

/** Row-major places of a numeric shape, with their coordinates. */
function places(shape: readonly Size[]): number[][] {
  return (shape as readonly number[]).reduce<number[][]>(
    (lists, size) => lists.flatMap((list) => Array.from({ length: size }, (_, i) => [...list, i])),
    [[]],
  );
}

const flat = (at: readonly number[], shape: readonly Size[]): number =>
  at.reduce((index, i, axis) => index * (shape[axis] as number) + i, 0);

function compute(node: Node): Elements | undefined {
  switch (node.op) {
    case 'size':
      return [node.attributes.value];
    case 'constant': {
      const { tensor } = node.attributes;
      return Array.from({ length: tensor.data.length }, (_, i) => {
        const value = Number(readElement(tensor, i));
        return Number.isSafeInteger(value) ? value : undefined;
      });
    }
    case 'iota':
      return places(node.shape).map((at) => at[node.attributes.axis]);
    case 'concat':
      return joined(node);
    case 'part':
    case 'input':
      return undefined;
    default:
      break;
  }
  const x = valuesOfInput(node, 0);
  if (x === undefined) return undefined;
  const from = (node.inputs[0] as Node).shape;
  const moved = (source: (at: readonly number[]) => readonly number[]): Elements =>
    places(node.shape).map((at) => x[flat(source(at), from)]);
  switch (node.op) {
    case 'reshape':
      return x;
    case 'cast':
      return isInteger(node.dtype) && isInteger((node.inputs[0] as Node).dtype) ? x : undefined;
    case 'permute':
      return moved((at) => from.map((_, axis) => at[node.attributes.axes.indexOf(axis)] as number));
    case 'expand':
      return moved((at) => at.map((i, axis) => (from[axis] === 1 ? 0 : i)));
    case 'flip':
      return moved((at) =>
        at.map((i, axis) =>
          node.attributes.axes.includes(axis) ? (from[axis] as number) - 1 - i : i,
        ),
      );
    case 'slice': {
      const { starts, steps } = node.attributes;
      if (!starts.every((start) => typeof start === 'number')) return undefined;
      return moved((at) => at.map((i, axis) => (starts[axis] as number) + i * (steps[axis] ?? 1)));
    }
    case 'gather':
      return gathered(node, x);
    case 'reduce':
      return reduced(node, x);
    case 'negate':
      return x.map((value) => (value === undefined ? undefined : negate(value)));
    default:
      return pairwise(node, x);
  }
}

function joined(node: Node): Elements | undefined {
  if (node.shape.length !== 1) return undefined;
  return node.inputs.flatMap((input, i): Elements => {
    const count = input.shape[0] as number;
    return valuesOfInput(node, i) ?? Array.from({ length: count }, () => undefined);
  });
}

function gathered(node: Node, x: Elements): Elements | undefined {
  const indices = valuesOfInput(node, 1);
  if (indices === undefined || (node.inputs[0] as Node).shape.length !== 1) return undefined;
  return indices.map((index) => (typeof index === 'number' ? x[index] : undefined));
}

function reduced(node: Node, x: Elements): Elements | undefined {
  if (node.op !== 'reduce' || node.shape.length !== 0) return undefined;
  const { kind } = node.attributes;
  if (!x.every((value) => value !== undefined) || x.length === 0) return undefined;
  const combine = { sum: add, product: multiply, minimum, maximum }[kind];
  return [x.reduce((a, b) => combine(a, b))];
}

function pairwise(node: Node, x: Elements): Elements | undefined {
  if (node.inputs.length !== 2 || !isInteger(node.dtype)) return undefined;
  const y = valuesOfInput(node, 1);
  if (y === undefined || y.length !== x.length) return undefined;
  const each = (combine: (a: Size, b: Size) => Size | undefined): Elements =>
    x.map((a, i) => {
      const b = y[i];
      return a === undefined || b === undefined ? undefined : combine(a, b);
    });
  switch (node.op) {
    case 'add':
      return each((a, b) => add(a, b));
    case 'subtract':
      return each(subtract);
    case 'multiply':
      return each((a, b) => multiply(a, b));
    case 'minimum':
      return each(minimum);
    case 'maximum':
      return each(maximum);
    // Sizes divide rounding down, integers toward zero: the same where nothing is negative.
    case 'divide':
      return each((a, b) => (divides(a, b) ? floorDivide(a, b) : undefined));
    case 'remainder':
      return each((a, b) => (divides(a, b) ? modulo(a, b) : undefined));
    default:
      return undefined;
  }
}

const divides = (a: Size, b: Size): boolean => lowerBound(a) >= 0 && lowerBound(b) >= 1;
