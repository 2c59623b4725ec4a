/**
 * Random well-typed programs with inputs, from a seed: for comparing devices with the interpreter.
 *
 * Every new node is evaluated with its error bound at once and dropped where its values grow too
 * large or where rounding could turn a comparison or an index, so that bounds stay meaningful.
 */
import { type DType, dtypeFacts, isFloat, isInteger, isUnsigned, isWide } from '../base/dtype.js';
import { isFailure } from '../base/errors.js';
import { elementCount, type HostTensor, type HostValue, hostTensor } from '../base/host-tensor.js';
import { graphOf, input } from './build.js';
import { type Bounded, boundedInput, boundedNode } from './interpret-bounds.js';
import { numbersOf } from './interpret-value.js';
import type { Graph, Node } from './node.js';
import { type Chance, chanceFrom, type Workshop } from './random-graph-chance.js';
import { makers } from './random-graph-makers.js';
import { nodesFrom } from './traverse.js';

export interface RandomProgram {
  readonly graph: Graph;
  readonly inputs: readonly HostTensor[];
}

export interface RandomOptions {
  /** Most operations that are tried; 12 unless given. */
  readonly operations?: number;
  /** Dtypes of inputs and casts; those that every device computes in unless given. */
  readonly dtypes?: readonly DType[];
}

/** Sizes around vector widths, primes, 1 and, rarely, 0. */
const extents = [1, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 64, 65, 0];
const largestCount = 3000;
const largestMagnitude = 1e4;

const defaultDTypes: readonly DType[] = [
  'f32',
  'f32',
  'f32',
  'f32',
  'i32',
  'i64',
  'u8',
  'i8',
  'u32',
  'f16',
  'bf16',
  'bool',
];

const numericShape = (node: Node): readonly number[] => node.shape as readonly number[];

function randomTensor(
  chance: Chance,
  dtype: DType,
  shape: readonly number[],
  range?: readonly [number, number],
): HostTensor {
  const low = range?.[0] ?? (isUnsigned(dtype) ? 0 : isInteger(dtype) ? -9 : -2);
  const high = range?.[1] ?? (isInteger(dtype) ? 9 : 2);
  const values = Array.from({ length: elementCount(shape) }, (): HostValue => {
    if (dtype === 'bool') return chance.below(2);
    if (isFloat(dtype)) return chance.between(low, high);
    const value = low + chance.below(high - low + 1);
    return isWide(dtype) ? BigInt(value) : value;
  });
  return hostTensor(dtype, shape, values);
}

/** Whether bounds are small beside the values, and no value is out of hand. */
function isTame({ value, error }: Bounded): boolean {
  if (!isFloat(value.dtype)) return error === undefined || numbersOf(error).every((e) => e === 0);
  const values = numbersOf(value);
  if (values.some((x) => !(Math.abs(x) <= largestMagnitude))) return false;
  const mantissa = dtypeFacts[value.dtype].float?.mantissaBits ?? 0;
  const loss = 2 ** Math.min(-4, 10 - mantissa);
  if (error === undefined) return true;
  return numbersOf(error).every((e, i) => e <= loss * Math.max(Math.abs(values[i]!), 1));
}

/** The same program for the same seed and options, always. */
export function randomProgram(seed: number, options: RandomOptions = {}): RandomProgram {
  const chance = chanceFrom(seed);
  const dtypes = options.dtypes ?? defaultDTypes;
  const tensors = new Map<Node, HostTensor>();
  const bounded = new Map<Node, readonly Bounded[]>();
  const values: Node[] = [];
  const extent = (): number => chance.pick(extents);
  const shape = (rank = chance.below(4)): number[] => {
    const sizes = Array.from({ length: rank }, extent);
    while (elementCount(sizes) > largestCount) sizes[sizes.indexOf(Math.max(...sizes))] = 2;
    return sizes;
  };
  const fresh: Workshop['fresh'] = (dtype, sizes, range) => {
    const node = input(`x${tensors.size}`, { dtype, shape: sizes });
    const tensor = randomTensor(chance, dtype, sizes, range);
    tensors.set(node, tensor);
    bounded.set(node, [boundedInput(tensor)]);
    return node;
  };
  const value: Workshop['value'] = (accepts = () => true) => {
    const fitting = values.filter(accepts);
    // The latest values are preferred, so that chains get long.
    if (fitting.length > 0 && chance.below(6) > 0) {
      return fitting[Math.max(fitting.length - 1 - chance.below(3), 0)]!;
    }
    for (let attempt = 0; attempt < 40; attempt++) {
      const made = input('trial', { dtype: chance.pick(dtypes), shape: shape() });
      if (!accepts(made)) continue;
      const node = fresh(made.dtype, numericShape(made));
      values.push(node);
      return node;
    }
    return fitting.at(-1) ?? fresh('f32', [4]);
  };
  const shop: Workshop = { chance, dtypes, value, fresh, shape, extent };
  for (let i = 0; i < (options.operations ?? 12); i++) {
    for (const node of tryMaker(shop, bounded)) values.push(node);
  }
  const made = values.filter((node) => node.op !== 'input');
  const used = new Set(made.flatMap((node) => nodesFrom(node.inputs)));
  const ends = made.filter((node) => !used.has(node)).slice(-4);
  const outputs = ends.length > 0 ? ends : [value()];
  const needed = new Set(nodesFrom(outputs));
  const inputs = [...tensors.keys()].filter((node) => needed.has(node));
  return { graph: graphOf(inputs, outputs), inputs: inputs.map((node) => tensors.get(node)!) };
}

/** Makes one operation; nothing where its operands do not fit or its values are not tame. */
function tryMaker(shop: Workshop, bounded: Map<Node, readonly Bounded[]>): readonly Node[] {
  try {
    const made = shop.chance.pick(makers)(shop);
    const nodes = made === undefined ? [] : Array.isArray(made) ? made : [made];
    for (const node of nodesFrom(nodes as Node[])) {
      if (bounded.has(node)) continue;
      const count = elementCount(numericShape(node));
      if (!(count <= 4 * largestCount)) return [];
      const results =
        node.op === 'part'
          ? [bounded.get(node.inputs[0]!)![node.attributes.index]!]
          : boundedNode(
              node,
              node.inputs.map((operand) => bounded.get(operand)![0]!),
            );
      if (!results.every(isTame)) return [];
      bounded.set(node, results);
    }
    return nodes as Node[];
  } catch (error) {
    if (isFailure(error) && error.code !== 'OC-INTERNAL-01') return [];
    throw error;
  }
}
