/** Rules of single tile operations: which operand types fit, and what type the result has. */
import type { ComputeType, MemoryType } from '../base/target.js';
import type { Operation, TileBinary, TileReduction, TileType, TileUnary, ValueId } from './tile.js';

export type TypeOf = (id: ValueId) => TileType;
export type Fail = (what: string) => never;

export const isFloatType = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';

const isIndexType = (dtype: ComputeType): boolean => dtype === 'i32' || dtype === 'i64';

export const showType = ({ dtype, shape }: TileType): string => `${dtype}[${shape.join(',')}]`;

export const sameShape = (a: TileType, b: TileType): boolean =>
  a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);

const isUniform = (type: TileType): boolean => type.shape.length === 0;

/** The compute type that elements of a memory type widen to. */
export function widenedType(memory: MemoryType): ComputeType {
  if (memory === 'i8' || memory === 'i16') return 'i32';
  return memory === 'u8' || memory === 'u16' ? 'u32' : memory;
}

const widths: Readonly<Record<ComputeType, number>> = {
  f32: 32,
  i32: 32,
  u32: 32,
  f64: 64,
  i64: 64,
  u64: 64,
  bool: 1,
};

const ofBool: ReadonlySet<string> = new Set('and or xor minimum maximum multiply add'.split(' '));
const ofBits: ReadonlySet<string> = new Set('and or xor shiftLeft shiftRight remainder'.split(' '));
const ofNumbers: ReadonlySet<string> = new Set(['negate', 'absolute']);

function unaryFits(name: TileUnary, dtype: ComputeType): boolean {
  if (name === 'not') return !isFloatType(dtype);
  if (ofNumbers.has(name)) return dtype !== 'bool';
  return isFloatType(dtype);
}

function binaryFits(name: TileBinary | TileReduction, dtype: ComputeType): boolean {
  if (dtype === 'bool') return ofBool.has(name);
  if (ofBits.has(name)) return !isFloatType(dtype);
  return name !== 'power' || isFloatType(dtype);
}

/** Every tile among the operands and the result has one shape; the others are uniform. */
function joins(result: TileType, operands: readonly TileType[], fail: Fail): void {
  const tiles = operands.filter((type) => !isUniform(type));
  for (const tile of tiles) {
    if (!sameShape(tile, result)) fail(`${showType(tile)} in a result ${showType(result)}`);
  }
  if (tiles.length === 0 && !isUniform(result)) fail(`${showType(result)} from uniform values`);
}

/** Checks all operations but those that touch memory. */
export function verifyOperation(o: Operation, type: TileType, typeOf: TypeOf, fail: Fail): void {
  const ensure = (condition: boolean, what: string): void => {
    if (!condition) fail(`${what}; the result is ${showType(type)}`);
  };
  const dtypes = (...types: readonly TileType[]): boolean =>
    types.every(({ dtype }) => dtype === type.dtype);
  switch (o.kind) {
    case 'literal': {
      const wide = type.dtype === 'i64' || type.dtype === 'u64';
      ensure(isUniform(type), 'a literal is uniform');
      ensure((typeof o.value === 'bigint') === wide, '64-bit integers are bigint literals');
      return;
    }
    case 'scalar':
    case 'untilLine':
      ensure(isUniform(type) && isIndexType(type.dtype), `a ${o.kind} is a uniform index`);
      return;
    case 'iota':
      ensure(type.shape.length === 1 && isIndexType(type.dtype), 'iota is a vector of indices');
      return;
    case 'unary': {
      const a = typeOf(o.a);
      ensure(dtypes(a) && sameShape(a, type), `${o.name} of ${showType(a)}`);
      ensure(unaryFits(o.name, type.dtype), `${o.name} has no meaning for ${type.dtype}`);
      return;
    }
    case 'binary': {
      const [a, b] = [typeOf(o.a), typeOf(o.b)];
      ensure(dtypes(a, b), `${o.name} of ${showType(a)} and ${showType(b)}`);
      ensure(binaryFits(o.name, type.dtype), `${o.name} has no meaning for ${type.dtype}`);
      joins(type, [a, b], fail);
      return;
    }
    case 'compare': {
      const [a, b] = [typeOf(o.a), typeOf(o.b)];
      const order = o.name === 'less' || o.name === 'lessEqual';
      ensure(a.dtype === b.dtype && type.dtype === 'bool', `${o.name} of ${a.dtype}, ${b.dtype}`);
      ensure(!order || a.dtype !== 'bool', `${o.name} has no meaning for bool`);
      joins(type, [a, b], fail);
      return;
    }
    case 'select': {
      const [condition, a, b] = [typeOf(o.condition), typeOf(o.a), typeOf(o.b)];
      ensure(condition.dtype === 'bool', `a condition ${showType(condition)}`);
      ensure(dtypes(a, b), `select of ${showType(a)} and ${showType(b)}`);
      joins(type, [condition, a, b], fail);
      return;
    }
    case 'multiplyAdd': {
      const operands = [typeOf(o.a), typeOf(o.b), typeOf(o.c)];
      ensure(dtypes(...operands) && type.dtype !== 'bool', 'multiplyAdd of different types');
      joins(type, operands, fail);
      return;
    }
    case 'convert':
      ensure(sameShape(typeOf(o.a), type), `convert of ${showType(typeOf(o.a))}`);
      return;
    case 'bitcast': {
      const a = typeOf(o.a);
      const fits = widths[a.dtype] === widths[type.dtype] && type.dtype !== 'bool';
      ensure(fits && sameShape(a, type), `bitcast of ${showType(a)}`);
      return;
    }
    case 'widenHalf':
    case 'narrowHalf': {
      const a = typeOf(o.a);
      const [from, to] = o.kind === 'widenHalf' ? ['u32', 'f32'] : ['f32', 'u32'];
      const fits = a.dtype === from && type.dtype === to;
      ensure(fits && sameShape(a, type), `${o.kind} of ${showType(a)}`);
      return;
    }
    default:
      verifyShaping(o, type, typeOf, ensure);
  }
}

const countOf = ({ shape }: TileType): number => shape.reduce((a, b) => a * b, 1);

function verifyShaping(
  o: Operation,
  type: TileType,
  typeOf: TypeOf,
  ensure: (condition: boolean, what: string) => void,
): void {
  switch (o.kind) {
    case 'broadcast': {
      const a = typeOf(o.a);
      const whole = isUniform(a) && type.shape.length > 0;
      const along = a.shape.length === 1 && a.shape[0] === type.shape[o.axis];
      const fits = whole || (along && type.shape.length === 2);
      ensure(fits && a.dtype === type.dtype, `broadcast of ${showType(a)} along ${o.axis}`);
      return;
    }
    case 'reduce': {
      const a = typeOf(o.a);
      const shape = a.shape.filter((_, axis) => axis !== o.axis);
      const fits = o.axis >= 0 && o.axis < a.shape.length && sameShape({ ...a, shape }, type);
      ensure(fits && a.dtype === type.dtype, `reduce of ${showType(a)} along ${o.axis}`);
      ensure(binaryFits(o.name, a.dtype), `${o.name} has no meaning for ${a.dtype}`);
      return;
    }
    case 'scan': {
      const a = typeOf(o.a);
      const fits = a.shape.length === 1 && sameShape(a, type) && a.dtype === type.dtype;
      ensure(fits && binaryFits(o.name, a.dtype), `${o.name} scan of ${showType(a)}`);
      return;
    }
    case 'transpose': {
      const a = typeOf(o.a);
      const shape = [...a.shape].reverse();
      const fits = a.shape.length === 2 && sameShape({ ...a, shape }, type);
      ensure(fits && a.dtype === type.dtype, `transpose of ${showType(a)}`);
      return;
    }
    case 'dot': {
      const [a, b, sum] = [typeOf(o.a), typeOf(o.b), typeOf(o.accumulator)];
      if (o.unit !== undefined) {
        // Which unit it is, only the target knows; here the bits must be bits and the sums fit.
        const bits = [a, b].every(({ dtype }) => dtype === 'u32' || dtype === 'i32');
        const rows = a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === type.shape[0];
        const counts = (a.shape[1] ?? 0) * (type.shape[1] ?? 0) === countOf(b);
        const sums = sum.dtype === type.dtype && sameShape(sum, type);
        const what = `dot of ${showType(a)} and ${showType(b)} by ${o.unit}`;
        ensure(bits && rows && counts && sums, what);
        return;
      }
      const [rows, depth] = a.shape;
      const [inner, columns] = b.shape;
      const ranks = a.shape.length === 2 && b.shape.length === 2;
      const fits =
        ranks && depth === inner && sameShape({ ...a, shape: [rows ?? 0, columns ?? 0] }, type);
      const one = a.dtype === type.dtype && b.dtype === type.dtype && sum.dtype === type.dtype;
      ensure(fits && one && sameShape(sum, type), `dot of ${showType(a)} and ${showType(b)}`);
      return;
    }
    default:
      ensure(false, `unknown operation ${o.kind}`);
  }
}
