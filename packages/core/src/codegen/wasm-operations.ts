/** The operations of `let` as WebAssembly. */
import { internal } from '../base/errors.js';
import type { Operation, TileBinary, TileType, ValueId } from '../kernel/tile.js';
import {
  binaryScalar,
  binaryVector,
  compareScalar,
  compareVector,
  multiplyAddScalar,
  multiplyAddVector,
  selectScalar,
  selectVector,
  shiftVector,
  unaryScalar,
  unaryVector,
} from './wasm-arithmetic.js';
import { type Context, valueNamed } from './wasm-context.js';
import { convert } from './wasm-convert.js';
import { type Code, getLocal, instruction } from './wasm-encode.js';
import { load } from './wasm-memory.js';
import { gather } from './wasm-scatter.js';
import { broadcast, dot, reduce, scan, transpose, uniformSource } from './wasm-tile.js';
import {
  constantOf,
  elementOf,
  elementsOf,
  elementwise,
  fromElements,
  hold,
  isFloat,
  isVector,
  pieceCount,
  scalarType,
  splat,
  type Value,
  vectorConstant,
  vectorInstruction,
} from './wasm-value.js';

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

export function operation(c: Context, id: ValueId, type: TileType, o: Operation): Value {
  const { f, lanes } = c;
  const value = (operand: ValueId): Value => valueNamed(c, operand);
  const { dtype } = type;
  switch (o.kind) {
    case 'literal':
      return literal(c, type, o.value);
    case 'scalar':
      return hold(f, type, lanes, [scalarOf(c, type, o.expression)]);
    case 'iota':
      return iota(c, type);
    case 'load':
      return load(c, id, type, o.access, o.other ?? 0);
    case 'gather':
      return gather(c, type, o);
    case 'unary':
      return elementwise(f, type, lanes, [value(o.a)], {
        vector: (a) => unaryVector(o.name, dtype, lanes, a as Code),
        scalar: (a) => unaryScalar(o.name, dtype, a as Code),
      });
    case 'binary':
      return binary(c, type, o.name, value(o.a), value(o.b));
    case 'compare': {
      const [a, b] = [value(o.a), value(o.b)];
      const compared = elementwise(f, type, lanes, [a, b], {
        vector: (x, y) => compareVector(o.name, a.type.dtype, lanes, x as Code, y as Code),
        scalar: (x, y) => compareScalar(o.name, a.type.dtype, x as Code, y as Code),
      });
      return o.name === 'less' ? { ...compared, less: [a, b] } : compared;
    }
    case 'select':
      return select(c, type, value(o.condition), value(o.a), value(o.b));
    case 'multiplyAdd':
      return elementwise(f, type, lanes, [value(o.a), value(o.b), value(o.c)], {
        vector: (x, y, z) =>
          multiplyAddVector(dtype, lanes, c.fused, [x as Code, y as Code, z as Code]),
        scalar: (x, y, z) => multiplyAddScalar(dtype, c.fused, [x as Code, y as Code, z as Code]),
      });
    case 'convert':
      return convert(c, value(o.a), dtype);
    case 'bitcast':
      return bitcast(c, type, value(o.a));
    case 'broadcast':
      return broadcast(c, type, value(o.a), o.axis);
    case 'reduce':
      return reduce(c, type, o.name, value(o.a), o.axis);
    case 'scan':
      return scan(c, type, o.name, value(o.a));
    case 'transpose':
      return transpose(c, type, value(o.a));
    case 'dot':
      return dot(c, type, value(o.a), value(o.b), value(o.accumulator), o.unit);
    case 'read':
      return read(c, type, o.variable);
    default:
      throw internal(`unknown tile operation ${(o as { kind: string }).kind}`);
  }
}

/** x < y ? x : y is one instruction; so is x < y ? y : x. */
function select(c: Context, type: TileType, condition: Value, a: Value, b: Value): Value {
  const { dtype } = type;
  const [x, y] = condition.less ?? [];
  const picks = isFloat(dtype) && x !== undefined && y !== undefined && x.type.dtype === dtype;
  const least = picks && isSame(a, x) && isSame(b, y);
  const most = picks && isSame(a, y) && isSame(b, x);
  return elementwise(c.f, type, c.lanes, [condition, a, b], {
    vector: (m, p, q) => {
      const operands = [m, p, q] as readonly [Code, Code, Code];
      // A mask that is widened or narrowed first is no plain mask of the lanes.
      const isPlain = c.lanes === 4 && dtype !== 'bool';
      if (isPlain && a.isZero) return instruction('v128.andnot', operands[2], operands[0]);
      if (isPlain && b.isZero) return instruction('v128.and', operands[1], operands[0]);
      if (least) return vectorInstruction(dtype, c.lanes, 'pmin', operands[2], operands[1]);
      if (most) return vectorInstruction(dtype, c.lanes, 'pmax', operands[2], operands[1]);
      return selectVector(dtype, c.lanes, c.fused, operands);
    },
    scalar: (m, p, q) => selectScalar(m as Code, p as Code, q as Code),
  });
}

/** Whether two values are known to be the same: all code of pieces is pure. */
const isSame = (a: Value, b: Value): boolean =>
  a === b ||
  (a.form === b.form &&
    a.pieces.length === b.pieces.length &&
    a.pieces.every((piece, i) => `${piece}` === `${b.pieces[i]}`));

function literal(c: Context, type: TileType, number: number | bigint): Value {
  const one = constantOf(type.dtype, number);
  // The bits are: −0 is another number.
  const isZero = Object.is(number, 0) || number === 0n;
  if (!isVector(type, c.lanes)) {
    const pieces = range(elementsOf(type)).map(() => one);
    return { type, form: 'scalar', pieces, depth: 0, isZero };
  }
  const key = `splat:${type.dtype}:${one.join()}`;
  const piece = c.f.hoist(0, key, 'v128', splat(type.dtype, c.lanes, one));
  const pieces = range(pieceCount(type, c.lanes)).map(() => piece);
  return { type, form: 'vector', pieces, depth: 0, isZero };
}

function scalarOf(
  c: Context,
  { dtype }: TileType,
  expression: Parameters<typeof c.index.value>[0],
) {
  if (dtype === 'bool') return c.index.condition(expression);
  const code = c.index.value(expression);
  const to = scalarType(dtype);
  if (to === c.index.type) return code;
  if (to === 'i64') return instruction('i64.extend_i32_s', code);
  if (to === 'i32') return instruction('i32.wrap_i64', code);
  return instruction(`${to}.convert_${c.index.type}_s`, code);
}

function iota(c: Context, type: TileType): Value {
  const { dtype } = type;
  if (!isVector(type, c.lanes)) {
    const pieces = range(elementsOf(type)).map((i) => constantOf(dtype, i));
    return { type, form: 'scalar', pieces, depth: 0 };
  }
  const pieces = range(pieceCount(type, c.lanes)).map((i) =>
    vectorConstant(
      dtype,
      c.lanes,
      range(c.lanes).map((lane) => i * c.lanes + lane),
    ),
  );
  return hold(c.f, type, c.lanes, pieces);
}

function binary(c: Context, type: TileType, name: TileBinary, a: Value, b: Value): Value {
  const { dtype } = type;
  if (name === 'shiftLeft' || name === 'shiftRight') {
    const amount = uniformSource(b, c.lanes);
    return elementwise(c.f, type, c.lanes, amount === undefined ? [a, b] : [a], {
      vector: (x) => amount && shiftVector(name, dtype, c.lanes, x as Code, amount),
      scalar: (x, y) => binaryScalar(name, dtype, x as Code, (y ?? amount) as Code),
    });
  }
  return elementwise(c.f, type, c.lanes, [a, b], {
    vector: (x, y) => binaryVector(name, dtype, c.lanes, x as Code, y as Code),
    scalar: (x, y) => binaryScalar(name, dtype, x as Code, y as Code),
  });
}

function bitcast(c: Context, type: TileType, value: Value): Value {
  const [from, to] = [scalarType(value.type.dtype), scalarType(type.dtype)];
  if (from === to || value.form !== 'scalar') return { ...value, type };
  const elements = range(elementsOf(type)).map((i) => {
    const element = elementOf(value, c.lanes, i);
    return instruction(`${to}.reinterpret_${from}` as Parameters<typeof instruction>[0], element);
  });
  return fromElements(c.f, type, c.lanes, elements);
}

/** A copy: the variable may change while the value is still in use. */
function read(c: Context, type: TileType, variable: number): Value {
  const found = c.variables.get(variable);
  if (found === undefined) throw internal(`variable ${variable} is read before it is made`);
  return hold(c.f, type, c.lanes, found.locals.map(getLocal));
}
