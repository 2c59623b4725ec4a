/** Attributes of a node by name and kind, with references to a function's attributes resolved. */

import { decodeUtf8 } from '../../base/text.js';
import type { AttributeProto, ByteText, GraphProto, NodeProto } from '../model.js';
import { dtypeOfNumber, readTensor } from '../read-tensor.js';
import type { DType, HostTensor } from './core.js';
import { type Frame, RefusedNode } from './state.js';

export type PlainAttribute = Exclude<AttributeProto, { kind: 'reference' }>;

/** The attribute, or what the function's caller gave where it is a reference. */
export function findAttribute(
  frame: Frame,
  node: NodeProto,
  name: string,
): PlainAttribute | undefined {
  const own = node.attributes.find((each) => each.name === name);
  if (own === undefined || own.kind !== 'reference') return own;
  const given = frame.attributes?.get(own.value);
  if (given === undefined) return undefined;
  if (given.kind === 'reference') throw new RefusedNode(`attribute ${name} is an open reference`);
  return { ...given, name };
}

type Kind = PlainAttribute['kind'];

export interface AttributeReader {
  find(name: string): PlainAttribute | undefined;
  int(name: string, fallback?: number): number;
  float(name: string, fallback?: number): number;
  text(name: string, fallback?: string): string;
  ints(name: string, fallback?: readonly number[]): readonly number[];
  floats(name: string, fallback?: readonly number[]): readonly number[];
  texts(name: string, fallback?: readonly string[]): readonly string[];
  tensor(name: string): HostTensor | undefined;
  graph(name: string): GraphProto;
  dtype(name: string, fallback?: DType): DType;
}

const limit = BigInt(Number.MAX_SAFE_INTEGER);

/** int64 as a number; markers such as INT64_MAX become ±(2^53 − 1). */
export function clampInteger(value: bigint): number {
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}

function textOf(value: ByteText): string {
  const text = typeof value === 'string' ? value : decodeUtf8(value);
  if (text === null) throw new RefusedNode('an attribute is not valid UTF-8');
  return text;
}

export function attributeReader(frame: Frame, node: NodeProto): AttributeReader {
  const find = (name: string): PlainAttribute | undefined => findAttribute(frame, node, name);
  const read = <K extends Kind, T>(
    kind: K,
    name: string,
    fallback: T | undefined,
    convert: (attribute: Extract<PlainAttribute, { kind: K }>) => T,
  ): T => {
    const attribute = find(name);
    if (attribute === undefined) {
      if (fallback === undefined) throw new RefusedNode(`attribute ${name} is missing`);
      return fallback;
    }
    if (attribute.kind !== kind) {
      throw new RefusedNode(`attribute ${name} is of kind ${attribute.kind}, not ${kind}`);
    }
    return convert(attribute as Extract<PlainAttribute, { kind: K }>);
  };
  return {
    find,
    int: (name, fallback) => read('int', name, fallback, (each) => clampInteger(each.value)),
    float: (name, fallback) => read('float', name, fallback, (each) => each.value),
    text: (name, fallback) => read('string', name, fallback, (each) => textOf(each.value)),
    ints: (name, fallback) => read('ints', name, fallback, (each) => each.value.map(clampInteger)),
    floats: (name, fallback) => read('floats', name, fallback, (each) => each.value),
    texts: (name, fallback) => read('strings', name, fallback, (each) => each.value.map(textOf)),
    tensor: (name) =>
      read<'tensor', HostTensor | null>('tensor', name, null, (each) => readTensor(each.value)) ??
      undefined,
    graph: (name) => read('graph', name, undefined, (each) => each.value),
    dtype: (name, fallback) =>
      read('int', name, fallback, (each) => {
        const dtype = dtypeOfNumber(clampInteger(each.value));
        if (dtype === null) throw new RefusedNode(`data type ${each.value} has no dtype here`);
        return dtype;
      }),
  };
}
