/** Operations on tiles as C: one expression per part, or statements before it where need be. */
import { internal } from '../base/errors.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { Access, Operation, TileType, ValueId } from '../kernel/tile.js';
import { fromMemory, loadParts, selectText } from './c-access.js';
import {
  binaryText,
  compareText,
  convertText,
  multiplyAddText,
  unaryText,
} from './c-arithmetic.js';
import * as functions from './c-functions.js';
import { narrowHalf, widenHalf } from './c-half.js';
import {
  bufferName,
  elementOf,
  fit,
  indexText,
  type Kernel,
  type Layout,
  layoutOf,
  memoryOf,
  partCount,
  partType,
  shortElement,
  spread,
  tileOf,
} from './c-kernel.js';
import { listLanes } from './c-lanes.js';
import { literalText } from './c-literal.js';
import { broadcastText, dotParts, reduceParts, scanParts, transposeParts } from './c-shape.js';

/**
 * C expressions of all parts of `let id: type = operation`. `inPlace`: a dot may change the
 * variables of its accumulator.
 */
export function operationParts(
  k: Kernel,
  id: ValueId,
  type: TileType,
  operation: Operation,
  inPlace = false,
): readonly string[] {
  const layout = layoutOf(type.shape, k.program.lanes);
  const each = (text: (index: number) => string): readonly string[] =>
    Array.from({ length: partCount(layout) }, (_, index) => text(index));
  const at = (id: ValueId, index: number): string => fit(k, tileOf(k, id), layout, index);
  const { dtype } = type;
  const { width } = layout;
  const name = `v${id}`;
  const short = shortElement(k, id, type);
  switch (operation.kind) {
    case 'literal':
      return each(() => spread(k, dtype, literalText(dtype, operation.value), width));
    case 'scalar':
      return each(() => spread(k, dtype, `(${dtype})${indexText(operation.expression)}`, width));
    case 'untilLine':
      return [untilLineText(k, dtype, operation.access, operation.line)];
    case 'iota':
      return each((index) => iotaText(k, dtype, width, index * width));
    case 'load':
      return loadParts(
        k,
        operation.access,
        { ...type, dtype: short ?? dtype },
        operation.other ?? 0,
      );
    case 'gather':
      return each((index) => gatherText(k, operation, dtype, layout, index));
    case 'unary':
      return each((index) => unaryText(k, operation.name, dtype, width, at(operation.a, index)));
    case 'binary':
      return each((index) => {
        const { name: op, a, b } = operation;
        return binaryText(k, op, dtype, width, at(a, index), at(b, index));
      });
    case 'compare': {
      const of = tileOf(k, operation.a).type.dtype;
      return each((index) =>
        compareText(k, operation.name, of, width, at(operation.a, index), at(operation.b, index)),
      );
    }
    case 'select':
      return each((index) => {
        const mask = at(operation.condition, index);
        return selectText(k, dtype, width, mask, at(operation.a, index), at(operation.b, index));
      });
    case 'multiplyAdd':
      return each((index) => {
        const { a, b, c } = operation;
        return multiplyAddText(k, dtype, width, at(a, index), at(b, index), at(c, index));
      });
    case 'convert': {
      const from = tileOf(k, operation.a).type.dtype;
      return each((index) => convertText(k, from, dtype, width, at(operation.a, index)));
    }
    case 'bitcast': {
      const from = elementOf(k, tileOf(k, operation.a).type.dtype, width);
      const to = elementOf(k, dtype, width);
      if (bytesOfMemory[from] !== bytesOfMemory[to]) throw internal('bitcast between sizes');
      return each((index) => {
        const text = at(operation.a, index);
        if (width > 1) return `(${partType(k, dtype, width)})${text}`;
        return `${functions.bitcast(k.prelude, from, to)}(${text})`;
      });
    }
    case 'widenHalf': {
      const call = widenHalf(k.prelude, width);
      const { element } = tileOf(k, operation.a);
      return each((index) => {
        const text = at(operation.a, index);
        return `${call}(${element === 'u16' ? text : convertBits(k, 'u32', 'u16', width, text)})`;
      });
    }
    case 'narrowHalf': {
      const call = narrowHalf(k.prelude, width);
      return each((index) => {
        const text = `${call}(${at(operation.a, index)})`;
        return short === undefined ? convertBits(k, 'u16', 'u32', width, text) : text;
      });
    }
    case 'broadcast':
      return each((index) => broadcastText(k, tileOf(k, operation.a), type, operation.axis, index));
    case 'reduce':
      return reduceParts(k, operation.name, tileOf(k, operation.a), operation.axis);
    case 'scan':
      return scanParts(k, name, operation.name, tileOf(k, operation.a));
    case 'transpose':
      return transposeParts(k, name, tileOf(k, operation.a), layout);
    case 'dot':
      return dotParts(k, name, operation, layout, inPlace);
    case 'read': {
      const variable = k.variables.get(operation.variable);
      if (variable === undefined) throw internal(`variable ${operation.variable} is not made`);
      return variable.parts;
    }
    default:
      return neverOperation(operation);
  }
}

function neverOperation(operation: never): never {
  throw internal(`operation without a text: ${JSON.stringify(operation)}`);
}

function convertBits(
  k: Kernel,
  from: MemoryType,
  to: MemoryType,
  width: number,
  text: string,
): string {
  if (width === 1) return `(${to})${text}`;
  return `${functions.convert(k.prelude, from, to, width)}(${text})`;
}

/** Elements that are no multiple of their own size off never reach a line: all of it counts. */
function untilLineText(
  k: Kernel,
  dtype: ComputeType,
  { buffer, address }: Access,
  line: number,
): string {
  const bytes = bytesOfMemory[memoryOf(k, buffer)];
  const at = `(address)(${bufferName(buffer)} + ${indexText(address)})`;
  return `(${dtype})((-${at} & ${bytes * line - 1}) / ${bytes})`;
}

function iotaText(k: Kernel, dtype: ComputeType, width: number, start: number): string {
  if (width === 1) return literalText(dtype, start);
  return `(${partType(k, dtype, width)}){${listLanes(width, (lane) => String(start + lane))}}`;
}

function gatherText(
  k: Kernel,
  operation: Operation & { readonly kind: 'gather' },
  dtype: ComputeType,
  layout: Layout,
  index: number,
): string {
  const { width } = layout;
  const memory = memoryOf(k, operation.buffer);
  const buffer = bufferName(operation.buffer);
  const indices = tileOf(k, operation.index);
  const at = fit(k, indices, layout, index);
  const mask =
    operation.mask === undefined ? undefined : fit(k, tileOf(k, operation.mask), layout, index);
  if (width === 1) {
    const loaded = fromMemory(k, `${buffer}[${at}]`, memory, dtype, 1);
    return mask === undefined ? loaded : `(${mask} ? ${loaded} : 0)`;
  }
  const element = elementOf(k, indices.type.dtype, width);
  if (mask === undefined) {
    const call = functions.gather(k.prelude, memory, width, element);
    return fromMemory(k, `${call}(${buffer}, ${at})`, memory, dtype, width);
  }
  const call = functions.gatherMask(k.prelude, memory, width, element, k.mask);
  return fromMemory(k, `${call}(${buffer}, ${at}, ${mask})`, memory, dtype, width);
}
