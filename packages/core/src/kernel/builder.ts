/**
 * Writes tile programs: one method per operation, with equal pure operations of one scope shared.
 * Stateful while a kernel is being written; `finish` hands out the frozen program.
 */
import { internal } from '../base/errors.js';
import { type Expression, keyOf, termsOf, variable } from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import { withoutDead } from './dead-code.js';
import type {
  Access,
  Limit,
  MathName,
  Operation,
  Statement,
  TileBinary,
  TileCompare,
  TileReduction,
  TileType,
  TileUnary,
  ValueId,
  VariableId,
} from './tile.js';

/** A value of the kernel that is being written. */
export interface Value {
  readonly id: ValueId;
  readonly type: TileType;
}

export interface Variable {
  readonly id: VariableId;
  readonly type: TileType;
}

interface Scope {
  readonly statements: Statement[];
  /** Key of a pure operation → its value. */
  readonly known: Map<string, Value>;
}

const scalarType = (dtype: ComputeType): TileType => ({ dtype, shape: [] });
const sameShape = (a: TileType, b: TileType): boolean =>
  a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);

const limitKey = (limit: Limit): string =>
  `${limit.low === undefined ? '' : keyOf(limit.low)}..${
    limit.high === undefined ? '' : keyOf(limit.high)
  }`;

function accessKey(access: Access): string {
  const strides = access.strides.map(keyOf).join(',');
  const limits = access.limits?.map(limitKey).join(',') ?? '';
  return `${access.buffer}@${keyOf(access.address)}[${strides}]{${limits}}?${access.mask ?? ''}`;
}

function operationKey(operation: Operation, type: TileType): string {
  const parts = Object.entries(operation).map(([name, member]) => {
    if (name === 'expression') return keyOf(member as Expression);
    if (name === 'access') return accessKey(member as Access);
    if (Object.is(member, -0)) return '-0';
    return String(member);
  });
  return `${parts.join('|')}:${type.dtype}[${type.shape.join(',')}]`;
}

/** A variable with a constant: nothing to save by naming it. */
const isPlain = (e: Expression): boolean =>
  termsOf(e).length === 1 &&
  termsOf(e).every((term) => term.atoms.length === 1 && term.atoms[0]?.kind === 'variable');

/** Whether a loop runs exactly once, so that it needs none. */
const isOnce = (start: Expression, end: Expression, step: Expression): boolean => {
  const numbers = [start, end, step].every((each) => typeof each === 'number');
  return numbers && start < end && Number(start) + Number(step) >= Number(end);
};

export class KernelBuilder {
  private readonly scopes: Scope[] = [{ statements: [], known: new Map() }];
  private nextValue = 0;
  private nextVariable = 0;
  private nextName = 0;
  private failing = false;

  /** Type of uniform index arithmetic and of lane numbers. */
  readonly indexType: 'i32' | 'i64';
  /** Whether the target converts f16 itself. */
  readonly halves: boolean;
  /** What the target's language says by itself (see target.math). */
  readonly math: ReadonlySet<string>;
  /** Values that are small floats widened from bits, by the dtype's name. */
  private readonly widened = new Map<ValueId, { readonly dtype: string; readonly bits: Value }>();

  constructor(indexType: 'i32' | 'i64', math: readonly string[] = []) {
    this.indexType = indexType;
    this.math = new Set(math);
    this.halves = this.math.has('half');
  }

  private get scope(): Scope {
    return this.scopes.at(-1) as Scope;
  }

  private push(statement: Statement): void {
    this.scope.statements.push(statement);
  }

  private let(operation: Operation, type: TileType, shared = true): Value {
    const key = operationKey(operation, type);
    if (shared) {
      for (const scope of this.scopes) {
        const known = scope.known.get(key);
        if (known !== undefined) return known;
      }
    }
    const value = { id: this.nextValue++, type };
    this.push({ kind: 'let', id: value.id, type, operation });
    if (shared) this.scope.known.set(key, value);
    return value;
  }

  literal(dtype: ComputeType, value: number | bigint): Value {
    const exact = dtype === 'i64' || dtype === 'u64' ? BigInt(value) : Number(value);
    return this.let({ kind: 'literal', value: exact }, scalarType(dtype));
  }

  /** A uniform integer of the index type. */
  scalar(expression: Expression): Value {
    return this.let({ kind: 'scalar', expression }, scalarType(this.indexType));
  }

  /** 0 … length−1, of the index type. */
  iota(length: number): Value {
    return this.let({ kind: 'iota' }, { dtype: this.indexType, shape: [length] });
  }

  /** See tile.ts. */
  untilLine(buffer: string, address: Expression, line: number): Value {
    const access = { buffer, address, strides: [] };
    return this.let({ kind: 'untilLine', access, line }, scalarType(this.indexType));
  }

  /** Loads from memory that this kernel writes must say `volatile`, so that none is shared. */
  load(
    type: TileType,
    access: Access,
    options: { other?: number; volatile?: boolean } = {},
  ): Value {
    const operation: Operation =
      options.other === undefined
        ? { kind: 'load', access }
        : { kind: 'load', access, other: options.other };
    return this.let(operation, type, options.volatile !== true);
  }

  gather(dtype: ComputeType, buffer: string, index: Value, mask?: Value, volatile = false): Value {
    const type = { dtype, shape: index.type.shape };
    const base = { kind: 'gather', buffer, index: index.id } as const;
    return this.let(mask === undefined ? base : { ...base, mask: mask.id }, type, !volatile);
  }

  unary(name: TileUnary | MathName, a: Value): Value {
    return this.let({ kind: 'unary', name, a: a.id }, a.type);
  }

  private joined(a: Value, b: Value): readonly number[] {
    if (a.type.shape.length === 0) return b.type.shape;
    if (b.type.shape.length === 0 || sameShape(a.type, b.type)) return a.type.shape;
    throw internal(`tiles [${a.type.shape}] and [${b.type.shape}] in one operation`);
  }

  binary(name: TileBinary, a: Value, b: Value): Value {
    if (a.type.dtype !== b.type.dtype) {
      throw internal(`tile ${name}: ${a.type.dtype} and ${b.type.dtype}`);
    }
    const type = { dtype: a.type.dtype, shape: this.joined(a, b) };
    return this.let({ kind: 'binary', name, a: a.id, b: b.id }, type);
  }

  add = (a: Value, b: Value): Value => this.binary('add', a, b);
  subtract = (a: Value, b: Value): Value => this.binary('subtract', a, b);
  multiply = (a: Value, b: Value): Value => this.binary('multiply', a, b);
  divide = (a: Value, b: Value): Value => this.binary('divide', a, b);
  and = (a: Value, b: Value): Value => this.binary('and', a, b);
  or = (a: Value, b: Value): Value => this.binary('or', a, b);
  not = (a: Value): Value => this.unary('not', a);

  compare(name: TileCompare, a: Value, b: Value): Value {
    const type: TileType = { dtype: 'bool', shape: this.joined(a, b) };
    return this.let({ kind: 'compare', name, a: a.id, b: b.id }, type);
  }

  less = (a: Value, b: Value): Value => this.compare('less', a, b);
  lessEqual = (a: Value, b: Value): Value => this.compare('lessEqual', a, b);
  equal = (a: Value, b: Value): Value => this.compare('equal', a, b);
  notEqual = (a: Value, b: Value): Value => this.compare('notEqual', a, b);

  select(condition: Value, a: Value, b: Value): Value {
    const shapes = [condition, a, b].filter((value) => value.type.shape.length > 0);
    const type = { dtype: a.type.dtype, shape: shapes[0]?.type.shape ?? [] };
    return this.let({ kind: 'select', condition: condition.id, a: a.id, b: b.id }, type);
  }

  multiplyAdd(a: Value, b: Value, c: Value): Value {
    const shape = [a, b, c].find((value) => value.type.shape.length > 0)?.type.shape ?? [];
    const type = { dtype: a.type.dtype, shape };
    return this.let({ kind: 'multiplyAdd', a: a.id, b: b.id, c: c.id }, type);
  }

  convert(a: Value, dtype: ComputeType): Value {
    if (a.type.dtype === dtype) return a;
    return this.let({ kind: 'convert', a: a.id }, { dtype, shape: a.type.shape });
  }

  bitcast(a: Value, dtype: ComputeType): Value {
    if (a.type.dtype === dtype) return a;
    return this.let({ kind: 'bitcast', a: a.id }, { dtype, shape: a.type.shape });
  }

  widenHalf(bits: Value): Value {
    return this.let({ kind: 'widenHalf', a: bits.id }, { dtype: 'f32', shape: bits.type.shape });
  }

  narrowHalf(value: Value): Value {
    return this.let({ kind: 'narrowHalf', a: value.id }, { dtype: 'u32', shape: value.type.shape });
  }

  /** Remembers that `value` is `bits` of a dtype, widened. */
  noteWidened(value: Value, dtype: string, bits: Value): void {
    this.widened.set(value.id, { dtype, bits });
  }

  /** The bits that a value was widened from, where they are of that dtype. */
  bitsOf(value: Value, dtype: string): Value | undefined {
    const origin = this.widened.get(value.id);
    return origin?.dtype === dtype ? origin.bits : undefined;
  }

  /** `axis` is the axis of the result along which a vector's lanes lie. */
  broadcast(a: Value, shape: readonly number[], axis = shape.length - 1): Value {
    if (a.type.shape.length === shape.length) return a;
    return this.let({ kind: 'broadcast', a: a.id, axis }, { dtype: a.type.dtype, shape });
  }

  reduce(name: TileReduction, a: Value, axis = 0): Value {
    if (a.type.shape.length === 0) return a;
    const shape = a.type.shape.filter((_, i) => i !== axis);
    return this.let({ kind: 'reduce', name, a: a.id, axis }, { dtype: a.type.dtype, shape });
  }

  /** Reduces every axis: a uniform value. */
  reduceAll(name: TileReduction, a: Value): Value {
    let value = a;
    while (value.type.shape.length > 0) value = this.reduce(name, value);
    return value;
  }

  scan(name: TileReduction, a: Value): Value {
    return this.let({ kind: 'scan', name, a: a.id }, a.type);
  }

  transpose(a: Value): Value {
    const shape = [...a.type.shape].reverse();
    return this.let({ kind: 'transpose', a: a.id }, { dtype: a.type.dtype, shape });
  }

  /** `unit`: name of one of the target's matrix units. */
  dot(a: Value, b: Value, accumulator: Value, unit?: string): Value {
    const plain: Operation = { kind: 'dot', a: a.id, b: b.id, accumulator: accumulator.id };
    const operation = unit === undefined ? plain : { ...plain, unit };
    return this.let(operation, accumulator.type, false);
  }

  /** A uniform integer value as a name that expressions can use; at least `minimum`. */
  name(value: Value, extent?: Expression): Expression {
    const name = `u${this.nextName++}`;
    this.push({ kind: 'name', name, value: value.id });
    return variable(name, extent, extent === undefined ? Number.MIN_SAFE_INTEGER : 0);
  }

  /** A non-negative expression under a name, so that its uses do not repeat its arithmetic. */
  bind(e: Expression): Expression {
    if (typeof e === 'number' || isPlain(e)) return e;
    const name = `u${this.nextName++}`;
    this.push({ kind: 'name', name, value: this.scalar(e).id });
    return variable(name);
  }

  variable(initial: Value, type: TileType = initial.type): Variable {
    const id = this.nextVariable++;
    this.push({ kind: 'variable', id, type, initial: initial.id });
    return { id, type };
  }

  read(from: Variable): Value {
    return this.let({ kind: 'read', variable: from.id }, from.type, false);
  }

  assign(to: Variable, value: Value): void {
    this.push({ kind: 'assign', variable: to.id, value: value.id });
  }

  store(access: Access, value: Value, streaming: Expression = 0): void {
    const base = { kind: 'store', access, value: value.id } as const;
    this.push(streaming === 0 ? base : { ...base, streaming });
  }

  /** Says that `count` elements from an address on are loaded or stored soon. */
  touch(buffer: string, address: Expression, count: number): void {
    this.push({ kind: 'touch', buffer, address, count });
  }

  /** Says that `count` elements from an address on are loaded or stored some time later. */
  touchLater(buffer: string, address: Expression, count: number): void {
    this.push({ kind: 'touch', buffer, address, count, isLater: true });
  }

  scatter(buffer: string, index: Value, value: Value, mask?: Value): void {
    const base = { kind: 'scatter', buffer, index: index.id, value: value.id } as const;
    this.push(mask === undefined ? base : { ...base, mask: mask.id });
  }

  fail(when: Value, code: number): void {
    this.failing = true;
    this.push({ kind: 'fail', when: when.id, code });
  }

  private block(write: () => void): Statement[] {
    const scope: Scope = { statements: [], known: new Map() };
    this.scopes.push(scope);
    write();
    this.scopes.pop();
    return scope.statements;
  }

  /** A fresh name for a loop index or grid axis. */
  fresh(stem: string): string {
    return `${stem}${this.nextName++}`;
  }

  for(
    start: Expression,
    end: Expression,
    step: Expression,
    write: (index: Expression) => void,
    options: { unroll?: number; stem?: string } = {},
  ): void {
    if (isOnce(start, end, step)) {
      write(start);
      return;
    }
    const index = this.fresh(options.stem ?? 'k');
    const body = this.block(() => write(variable(index, end)));
    const base = { kind: 'for', index, start, end, step, body } as const;
    this.push(options.unroll === undefined ? base : { ...base, unroll: options.unroll });
  }

  if(condition: Expression | Value, then: () => void, otherwise: () => void = () => {}): void {
    const test =
      typeof condition === 'object' && 'id' in condition ? { value: condition.id } : condition;
    const first = this.block(then);
    this.push({ kind: 'if', condition: test, then: first, else: this.block(otherwise) });
  }

  /** Runs `head`, which gives a uniform bool, then `body` while it is true. */
  while(head: () => Value, body: () => void): void {
    let condition: Value | undefined;
    const headStatements = this.block(() => {
      condition = head();
    });
    // What head computes is visible in the body, but is not shared with it: it may have changed.
    const bodyStatements = this.block(body);
    const { id } = condition as unknown as Value;
    this.push({ kind: 'while', head: headStatements, condition: id, body: bodyStatements });
  }

  /** Whether a `fail` was written. */
  get mayFail(): boolean {
    return this.failing;
  }

  /** The statements of the outermost scope. */
  get body(): readonly Statement[] {
    if (this.scopes.length !== 1) throw internal('kernel body asked for inside a block');
    return withoutDead(this.scope.statements);
  }
}
