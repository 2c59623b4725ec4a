/** Operations on tiles as text: one expression per part, statements before it where need be. */
import { internal, refused } from '../base/errors.js';
import type { Operation, TileType, ValueId } from '../kernel/tile.js';
import { convertText as convertScalar, literalText } from './gpu-scalar.js';
import { fromMemory, loadParts, untilLineText } from './vector-access.js';
import {
  binaryText,
  bitcastText,
  compareText,
  convertText,
  multiplyAddText,
  selectText,
  unaryText,
} from './vector-arithmetic.js';
import * as functions from './vector-functions.js';
import {
  eachPart,
  fit,
  lanesOf,
  layoutIn,
  memoryOf,
  nestedIndex,
  spread,
  tileOf,
  type VectorKernel,
  vectorOf,
} from './vector-kernel.js';
import { broadcastText, dotParts, reduceParts, scanParts, transposeParts } from './vector-shape.js';

/** Texts of all parts of `let id: type = operation`. */
export function operationParts(
  k: VectorKernel,
  id: ValueId,
  type: TileType,
  operation: Operation,
): readonly string[] {
  const layout = layoutIn(k, type);
  const each = (text: (index: number) => string): readonly string[] => eachPart(layout, text);
  const at = (value: ValueId, index: number): string => fit(k, tileOf(k, value), layout, index);
  const { dtype } = type;
  const { width } = layout;
  const name = `v${id}`;
  switch (operation.kind) {
    case 'literal':
      return each(() => spread(k, dtype, literalText(k, dtype, operation.value), width));
    case 'scalar': {
      const index = nestedIndex(k, operation.expression);
      const scalar = convertScalar(k, k.program.indexType, dtype, index);
      return each(() => spread(k, dtype, scalar, width));
    }
    case 'untilLine':
      return [untilLineText(k, operation.access, operation.line)];
    case 'iota':
      return each((index) => {
        const number = (lane: number): string => literalText(k, dtype, index * width + lane);
        return width === 1 ? number(0) : vectorOf(k, lanesOf(k, dtype), width, number);
      });
    case 'load':
      return loadParts(k, operation.access, type, operation.other ?? 0);
    case 'gather':
      return each((index) => gatherText(k, operation, type, index));
    case 'unary':
      return each((index) => unaryText(k, operation.name, dtype, width, at(operation.a, index)));
    case 'binary': {
      const { a, b } = operation;
      return each((index) =>
        binaryText(k, operation.name, dtype, width, at(a, index), at(b, index)),
      );
    }
    case 'compare': {
      const { a, b } = operation;
      const of = tileOf(k, a).type.dtype;
      return each((index) => compareText(k, operation.name, of, width, at(a, index), at(b, index)));
    }
    case 'select': {
      const { condition, a, b } = operation;
      return each((index) =>
        selectText(k, dtype, width, at(condition, index), at(a, index), at(b, index)),
      );
    }
    case 'multiplyAdd': {
      const { a, b, c } = operation;
      return each((index) =>
        multiplyAddText(k, dtype, width, at(a, index), at(b, index), at(c, index)),
      );
    }
    case 'convert': {
      const from = tileOf(k, operation.a).type.dtype;
      return each((index) => convertText(k, from, dtype, width, at(operation.a, index)));
    }
    case 'bitcast': {
      const from = tileOf(k, operation.a).type.dtype;
      return each((index) => bitcastText(k, from, dtype, width, at(operation.a, index)));
    }
    case 'widenHalf':
    case 'narrowHalf':
      throw refused(`operation ${operation.kind}`, `${k.target.id} has no such function`);
    case 'broadcast':
      return each((index) => broadcastText(k, tileOf(k, operation.a), type, operation.axis, index));
    case 'reduce':
      return reduceParts(k, name, operation.name, tileOf(k, operation.a), operation.axis);
    case 'scan':
      return scanParts(k, name, operation.name, tileOf(k, operation.a));
    case 'transpose':
      return transposeParts(k, name, tileOf(k, operation.a), layout);
    case 'dot':
      return dotParts(k, operation, layout);
    case 'read': {
      const variable = k.variables.get(operation.variable);
      if (variable === undefined) throw internal(`variable ${operation.variable} is not made`);
      return variable.parts;
    }
    default:
      throw refused(`operation ${(operation as { kind: string }).kind}`, 'vectors cannot do it');
  }
}

function gatherText(
  k: VectorKernel,
  operation: Operation & { readonly kind: 'gather' },
  type: TileType,
  index: number,
): string {
  const layout = layoutIn(k, type);
  const { width } = layout;
  const { dtype } = type;
  const { buffer } = operation;
  const memory = memoryOf(k, buffer);
  const indices = tileOf(k, operation.index);
  const at = fit(k, indices, layout, index);
  const mask =
    operation.mask === undefined ? undefined : fit(k, tileOf(k, operation.mask), layout, index);
  if (width === 1) {
    const loaded = fromMemory(k, `${buffer}[${at}]`, memory.element, dtype, 1);
    return mask === undefined ? loaded : `(${mask} ? ${loaded} : ${literalText(k, dtype, 0)})`;
  }
  const element = lanesOf(k, indices.type.dtype);
  const call = functions.gather(k, memory, width, element, mask !== undefined);
  const operands = mask === undefined ? `${buffer}, ${at}` : `${buffer}, ${at}, ${mask}`;
  return fromMemory(k, `${call}(${operands})`, memory.element, dtype, width);
}
