/** Inputs of region bodies, shared by place and type, so that equal bodies are one object. */
import { keyOf } from '../base/expression.js';
import { make } from './make.js';
import type { Node, TensorType } from './node.js';
import { weakTable } from './weak-table.js';

const shared = weakTable<Node>();

const typeKey = ({ dtype, shape }: TensorType): string => `${dtype}[${shape.map(keyOf).join(',')}]`;

function named(name: string, type: TensorType): Node {
  return shared.get(`${name} ${typeKey(type)}`, () => make('input', [], { name, type }));
}

/** Input `index` of a body at nesting depth `depth`: different depths never share an input. */
export function bodyInput(depth: number, index: number, type: TensorType): Node {
  return named(`p${depth}_${index}`, { dtype: type.dtype, shape: type.shape });
}

/** The same input with another type; shared again if it was. */
export function retypedInput(input: Node, type: TensorType): Node {
  const name = input.op === 'input' ? input.attributes.name : '';
  const isShared = named(name, { dtype: input.dtype, shape: input.shape }) === input;
  return isShared ? named(name, type) : make('input', [], { name, type });
}
