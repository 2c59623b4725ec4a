/**
 * Rules of a tile program: values, names and variables are made before use and in scope, types fit
 * the operations, memory is used as declared. Takes a program; throws OC-INTERNAL-01.
 */
import { internal } from '../base/errors.js';
import { type Expression, variablesOf } from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type { Access, Operation, Statement, TileProgram, TileType, ValueId } from './tile.js';
import { sameShape, showType, verifyOperation, widenedType } from './verify-operation.js';

/** What is visible at a place; inner scopes see outer ones. */
interface Scope {
  readonly outer: Scope | undefined;
  readonly values: Map<ValueId, TileType>;
  readonly variables: Map<number, TileType>;
  readonly names: Set<string>;
}

interface Storage {
  readonly memory: MemoryType;
  readonly read: boolean;
  readonly write: boolean;
}

const innerScope = (outer: Scope | undefined): Scope => ({
  outer,
  values: new Map(),
  variables: new Map(),
  names: new Set(),
});

class Verifier {
  private readonly program: TileProgram;
  private readonly storage = new Map<string, Storage>();
  private readonly madeValues = new Set<ValueId>();
  private readonly madeVariables = new Set<number>();
  private scope: Scope = innerScope(undefined);
  private failing = false;

  constructor(program: TileProgram) {
    this.program = program;
  }

  private fail = (what: string): never => {
    throw internal(`kernel ${this.program.name}: ${what}`);
  };

  private ensure(condition: boolean, what: string): void {
    if (!condition) this.fail(what);
  }

  private lookUp<T>(find: (scope: Scope) => T | undefined, what: string): T {
    for (let at: Scope | undefined = this.scope; at !== undefined; at = at.outer) {
      const found = find(at);
      if (found !== undefined) return found;
    }
    return this.fail(what);
  }

  private typeOf = (id: ValueId): TileType =>
    this.lookUp((scope) => scope.values.get(id), `value ${id} is used before it is made`);

  private expression(e: Expression): void {
    for (const name of variablesOf(e).keys()) {
      this.lookUp((scope) => scope.names.has(name) || undefined, `name ${name} is not bound`);
    }
  }

  private bind(name: string): void {
    this.ensure(!this.scope.names.has(name), `name ${name} is bound twice`);
    this.scope.names.add(name);
  }

  run(): void {
    const { program } = this;
    const { lanes, group, buffers, scratch, sizes, grid } = program;
    this.ensure(Number.isInteger(lanes) && lanes >= 1, `${lanes} lanes`);
    this.ensure(Number.isInteger(group) && group >= 1, `a group of ${group}`);
    const declare = (name: string, storage: Storage): void => {
      this.ensure(!this.storage.has(name), `memory ${name} is declared twice`);
      this.storage.set(name, storage);
    };
    for (const { name, memory, access } of buffers) {
      declare(name, { memory, read: access !== 'write', write: access !== 'read' });
    }
    for (const { name, memory, length } of scratch) {
      this.ensure(length > 0, `scratch ${name} has ${length} elements`);
      declare(name, { memory, read: true, write: true });
    }
    for (const name of sizes) this.bind(name);
    for (const { extent } of grid) this.expression(extent);
    for (const { name } of grid) this.bind(name);
    this.statements(program.body);
    this.ensure(this.failing === program.mayFail, `mayFail is ${program.mayFail}`);
  }

  private inside(write: () => void): void {
    const outer = this.scope;
    this.scope = innerScope(outer);
    write();
    this.scope = outer;
  }

  private statements(list: readonly Statement[]): void {
    for (const statement of list) this.statement(statement);
  }

  private statement(s: Statement): void {
    switch (s.kind) {
      case 'let':
        this.define(s);
        return;
      case 'name': {
        const { dtype, shape } = this.typeOf(s.value);
        const whole = dtype === 'i32' || dtype === 'i64' || dtype === 'u32';
        this.ensure(whole && shape.length === 0, `name ${s.name} of a ${dtype}[${shape}]`);
        this.bind(s.name);
        return;
      }
      case 'variable':
        this.ensure(!this.madeVariables.has(s.id), `variable ${s.id} is declared twice`);
        this.tile(s.type);
        this.same(this.typeOf(s.initial), s.type, `variable ${s.id}`);
        this.madeVariables.add(s.id);
        this.scope.variables.set(s.id, s.type);
        return;
      case 'assign':
        this.same(this.typeOf(s.value), this.variable(s.variable), `variable ${s.variable}`);
        return;
      case 'store': {
        const type = this.typeOf(s.value);
        this.access(s.access, type, 'write');
        if (s.streaming !== undefined) this.expression(s.streaming);
        return;
      }
      case 'touch':
        this.ensure(this.storage.has(s.buffer), `touch of ${s.buffer}, which is no memory`);
        this.expression(s.address);
        return;
      case 'scatter':
      case 'atomic': {
        const type = this.typeOf(s.value);
        const at = this.memory(s.buffer, type, 'write');
        if (s.kind === 'atomic') {
          this.ensure(at.read, `atomic ${s.name} on ${s.buffer}, which is not read`);
          this.ensure(type.dtype === 'i32' || type.dtype === 'u32', `atomic on ${type.dtype}`);
        }
        this.indices(s.buffer, s.index, type, s.mask);
        return;
      }
      case 'fail': {
        this.failing = true;
        this.ensure(this.typeOf(s.when).dtype === 'bool', 'fail on what is no bool');
        this.ensure(Number.isInteger(s.code) && s.code >= 0, `fail with code ${s.code}`);
        return;
      }
      default:
        this.control(s);
    }
  }

  private control(s: Extract<Statement, { kind: 'for' | 'while' | 'if' }>): void {
    switch (s.kind) {
      case 'for':
        for (const e of [s.start, s.end, s.step]) this.expression(e);
        this.inside(() => {
          this.bind(s.index);
          this.statements(s.body);
        });
        return;
      case 'while':
        this.inside(() => {
          this.statements(s.head);
          this.condition(s.condition);
          // The body sees what the head made.
          this.inside(() => this.statements(s.body));
        });
        return;
      case 'if': {
        const { condition } = s;
        if (typeof condition === 'object' && 'value' in condition) this.condition(condition.value);
        else this.expression(condition);
        this.inside(() => this.statements(s.then));
        this.inside(() => this.statements(s.else));
        return;
      }
    }
  }

  private condition(id: ValueId): void {
    const type = this.typeOf(id);
    const fits = type.dtype === 'bool' && type.shape.length === 0;
    this.ensure(fits, `a condition ${showType(type)}, which is no uniform bool`);
  }

  private variable(id: number): TileType {
    return this.lookUp(
      (scope) => scope.variables.get(id),
      `variable ${id} is used before it is declared`,
    );
  }

  private same(a: TileType, b: TileType, what: string): void {
    const fits = a.dtype === b.dtype && sameShape(a, b);
    this.ensure(fits, `${what}: ${showType(a)} where ${showType(b)} is due`);
  }

  /** Shapes that a machine of so many lanes can hold. */
  private tile({ shape }: TileType, perRow = false): void {
    this.ensure(shape.length <= 2, `a tile of ${shape.length} axes`);
    for (const size of shape) {
      this.ensure(Number.isInteger(size) && size > 0, `a tile axis of ${size}`);
    }
    const { lanes, group } = this.program;
    const last = shape.at(-1) ?? 1;
    const fits = perRow || group > 1 || last === 1 || last % lanes === 0;
    this.ensure(fits, `a tile [${shape.join(',')}] in a kernel of ${lanes} lanes`);
  }

  private define({ id, type, operation }: Extract<Statement, { kind: 'let' }>): void {
    this.ensure(!this.madeValues.has(id), `value ${id} is made twice`);
    // One value per row of a tile: as many as there are rows.
    const perRow = operation.kind === 'iota' || operation.kind === 'reduce';
    this.tile(type, perRow && type.shape.length === 1);
    this.operation(id, operation, type);
    this.madeValues.add(id);
    this.scope.values.set(id, type);
  }

  private operation(id: ValueId, o: Operation, type: TileType): void {
    switch (o.kind) {
      case 'load':
        this.access(o.access, type, 'read');
        return;
      case 'untilLine':
        this.expression(o.access.address);
        this.ensure(this.storage.has(o.access.buffer), `no memory is called ${o.access.buffer}`);
        break;
      case 'gather':
        this.memory(o.buffer, type, 'read');
        this.indices(o.buffer, o.index, type, o.mask);
        return;
      case 'read':
        this.same(this.variable(o.variable), type, `value ${id}`);
        return;
      case 'scalar':
        this.expression(o.expression);
        this.ensure(type.dtype === this.program.indexType, `a scalar ${type.dtype}`);
        break;
      default:
        break;
    }
    const fail = (what: string): never => this.fail(`value ${id}: ${what}`);
    verifyOperation(o, type, this.typeOf, fail);
  }

  private memory(buffer: string, type: TileType, use: 'read' | 'write'): Storage {
    const storage = this.storage.get(buffer) ?? this.fail(`no memory is called ${buffer}`);
    this.ensure(storage[use], `${use} of ${buffer}, which does not allow it`);
    const wanted = widenedType(storage.memory);
    const fits = type.dtype === wanted;
    this.ensure(fits, `${use} of ${buffer} as ${type.dtype}; ${storage.memory} is ${wanted}`);
    return storage;
  }

  private access(access: Access, type: TileType, use: 'read' | 'write'): void {
    const { buffer, address, strides, limits, mask, later = 0 } = access;
    this.memory(buffer, type, use);
    const rank = type.shape.length;
    this.ensure(strides.length === rank, `${strides.length} strides into ${buffer}`);
    const bounded = limits === undefined || limits.length === rank;
    this.ensure(bounded, `${limits?.length} limits on ${buffer}`);
    for (const e of [address, later, ...strides]) this.expression(e);
    for (const { low, high } of limits ?? []) {
      if (low !== undefined) this.expression(low);
      if (high !== undefined) this.expression(high);
    }
    this.mask(mask, type, buffer);
  }

  private indices(buffer: string, index: ValueId, type: TileType, mask: ValueId | undefined): void {
    const at = this.typeOf(index);
    const fits = (at.dtype === 'i32' || at.dtype === 'i64') && sameShape(at, type);
    this.ensure(fits, `${showType(at)} as indices of ${showType(type)} in ${buffer}`);
    this.mask(mask, type, buffer);
  }

  private mask(mask: ValueId | undefined, type: TileType, buffer: string): void {
    if (mask === undefined) return;
    const given = this.typeOf(mask);
    const fits = given.dtype === 'bool' && sameShape(given, type);
    this.ensure(fits, `a mask ${showType(given)} on ${showType(type)} in ${buffer}`);
  }
}

/** Throws OC-INTERNAL-01 with the kernel's name where a rule of tile.ts is broken. */
export function verifyProgram(program: TileProgram): void {
  new Verifier(program).run();
}
