/**
 * Expressions as WebAssembly code: indices, sizes, byte addresses. Sums and products are split by
 * the scope that their parts need, so loop-invariant parts are computed outside; an address that
 * is linear in the index of a loop becomes a pointer that the loop advances.
 */

import { internal } from '../base/errors.js';
import {
  type Atom,
  add,
  type Expression,
  keyOf,
  linearIn,
  multiply,
  type Operation,
  provablyAtLeast,
  substitute,
  subtract,
  type Term,
  termsOf,
  variable,
  variablesOf,
} from '../base/expression.js';
import {
  type Code,
  constant32,
  constant64,
  getLocal,
  instruction,
  setLocal,
} from './wasm-encode.js';
import type { FunctionBuilder } from './wasm-function.js';
import type { Opcode } from './wasm-opcodes.js';

export type IndexType = 'i32' | 'i64';
/** 64 bits where the memory reaches beyond 4 GiB. */
export type AddressType = 'i32' | 'i64';

/** Where a byte address is: code of the address type plus a constant offset of the instruction. */
export interface Address {
  readonly code: Code;
  readonly offset: number;
}

/** Start of a buffer in memory: code that holds in the whole function. */
export interface Base {
  readonly name: string;
  readonly code: Code;
}

interface Name {
  readonly depth: number;
  readonly code: Code;
}

interface Loop {
  readonly index: string;
  readonly start: Expression;
  readonly step: Expression;
  /** Pointers by key, each with the offset that it began with. */
  readonly pointers: Map<string, readonly { readonly code: Code; readonly constant: number }[]>;
}

/**
 * No buffer lies below this address, and every constant offset is below it: so an address that
 * is in a buffer never comes from one that wrapped around below zero.
 */
export const lowestAddress = 65536;

const constantOf = (e: Expression): number => (typeof e === 'number' ? e : e.constant);

export class IndexBuilder {
  private readonly names = new Map<string, Name>();
  private readonly aliases = new Map<string, (minimum: number) => Expression>();
  private readonly loops = new Map<number, Loop>();
  private fresh = 0;
  private readonly f: FunctionBuilder;
  readonly type: IndexType;
  readonly addressType: AddressType;

  constructor(f: FunctionBuilder, type: IndexType, addressType: AddressType) {
    this.f = f;
    this.type = type;
    this.addressType = addressType;
  }

  /** Makes `name` stand for code in the scope that is open. */
  bind(name: string, code: Code): void {
    this.names.set(name, { depth: this.f.depth, code });
  }

  /** As bind, for a name that may be bound anew: what was remembered of the old one is not used. */
  rebind(name: string, code: Code): void {
    const own = `${name}#${this.fresh++}`;
    this.bind(own, code);
    this.aliases.set(name, (minimum) => variable(own, undefined, minimum));
  }

  /** Builds with `name` standing for an expression. */
  withAlias(name: string, expression: Expression, build: () => void): void {
    this.aliases.set(name, () => expression);
    build();
    this.aliases.delete(name);
  }

  /** Tells the index of the loop whose scope is open, so that pointers may follow it. */
  follow(index: string, start: Expression, step: Expression): void {
    this.loops.set(this.f.depth, { index, start, step, pointers: new Map() });
  }

  /** Index of the innermost loop around the scope that is open, where it never is negative. */
  countedUp(): Code | undefined {
    const loop = this.loops.get(this.f.depth);
    return loop && provablyAtLeast(loop.start, 0) ? this.names.get(loop.index)?.code : undefined;
  }

  unfollow(depth: number): void {
    this.loops.delete(depth);
  }

  /** The expression over names that are bound to code. */
  resolve(e: Expression): Expression {
    const used = [...variablesOf(e).values()].filter(({ name }) => this.aliases.has(name));
    if (used.length === 0) return e;
    const replaced = new Map(
      used.map(({ name, minimum }) => [name, this.aliases.get(name)?.(minimum)]),
    );
    return substitute(e, (name) => replaced.get(name));
  }

  /** The value in the index type. */
  value(expression: Expression): Code {
    return this.sum(this.resolve(expression), this.type);
  }

  /** 1 where the expression is not 0, as i32. */
  condition(expression: Expression): Code {
    const code = this.value(expression);
    return instruction(this.type === 'i64' ? 'i64.ne' : 'i32.ne', code, this.constant(0));
  }

  constant(value: number | bigint): Code {
    return constantOfType(this.type, value);
  }

  /** Address of element `index` of memory whose elements have `bytes` bytes. */
  address(base: Base, index: Expression, bytes: number): Address {
    const total = multiply(this.resolve(index), bytes);
    const constant = constantOf(total);
    const moving = subtract(total, constant);
    const depth = this.depthOf(moving);
    const loop = this.loops.get(depth);
    const pointer = loop && this.pointer(base, moving, constant, loop, depth);
    if (pointer) return this.shifted(pointer.code, constant - pointer.constant);
    if (moving === 0) return this.shifted(base.code, constant);
    const key = `${base.name}:${keyOf(moving)}`;
    const sum = this.joined(base.code, this.sum(moving, this.addressType));
    return this.shifted(this.f.hoist(depth, key, this.addressType, sum), constant);
  }

  private joined(address: Code, bytes: Code): Code {
    return combine(this.addressType, 'add', address, bytes);
  }

  private shifted(code: Code, offset: number): Address {
    if (isOffset(offset)) return { code, offset };
    return { code: this.joined(code, constantOfType(this.addressType, offset)), offset: 0 };
  }

  private pointer(base: Base, moving: Expression, constant: number, loop: Loop, depth: number) {
    const place = `${base.name}:${keyOf(moving)}`;
    const all = loop.pointers.get(place) ?? [];
    // What lies too far for the offset of an instruction gets a pointer of its own.
    const seen = all.find((each) => isOffset(constant - each.constant));
    if (seen !== undefined) return seen;
    const linear = linearIn(moving, loop.index);
    if (linear === undefined) return undefined;
    const { coefficient, rest } = linear;
    const stride = multiply(coefficient, loop.step);
    if (this.depthOf(rest) >= depth || this.depthOf(stride) >= depth) return undefined;
    const first = add(multiply(coefficient, loop.start), rest, constant);
    const type = this.addressType;
    const local = this.f.newLocal(type);
    const start = this.joined(base.code, this.sum(first, type));
    const advance = this.sum(stride, type);
    const scope = this.f.scopeAt(depth);
    scope.before.push(...setLocal(local, start));
    scope.after.push(...setLocal(local, this.joined(getLocal(local), advance)));
    const made = { code: getLocal(local), constant };
    loop.pointers.set(place, [...all, made]);
    return made;
  }

  private depthOf(e: Expression): number {
    let depth = 0;
    for (const name of variablesOf(e).keys()) depth = Math.max(depth, this.lookup(name).depth);
    return depth;
  }

  private lookup(name: string): Name {
    const found = this.names.get(name);
    if (found === undefined) throw internal(`the name ${name} has no value in this kernel`);
    return found;
  }

  private sum(e: Expression, type: IndexType): Code {
    const constant = constantOf(e);
    const groups = byDepth(termsOf(e), (term) => termDepth(term, (name) => this.lookup(name)));
    let total: Code | undefined;
    let partial: Expression = 0;
    for (const [depth, terms] of groups) {
      for (const term of terms) {
        const code = this.term(term, type);
        total = total === undefined ? code : combine(type, 'add', total, code);
        partial = add(partial, termExpression(term));
      }
      if (total === undefined || isSimple(total)) continue;
      total = this.f.hoist(depth, `${type}:${keyOf(partial)}`, type, total);
    }
    if (total === undefined) return constantOfType(type, constant);
    if (constant === 0) return total;
    const sum = combine(type, 'add', total, constantOfType(type, constant));
    const depth = groups.at(-1)?.[0] ?? 0;
    return depth < this.f.depth ? this.f.hoist(depth, `${type}:${keyOf(e)}`, type, sum) : sum;
  }

  private term(term: Term, type: IndexType): Code {
    const groups = byDepth(term.atoms, (atom) => atomDepth(atom, (n) => this.lookup(n)));
    let product: Code | undefined;
    let key = `${type}:product:${term.coefficient}`;
    if (term.coefficient !== 1) product = constantOfType(type, term.coefficient);
    for (const [depth, atoms] of groups) {
      for (const atom of atoms) {
        const code = this.atom(atom, type, depth);
        product = product === undefined ? code : combine(type, 'mul', product, code);
        key = `${key}*${atom.key}`;
      }
      if (product !== undefined && !isSimple(product) && depth < this.f.depth) {
        product = this.f.hoist(depth, key, type, product);
      }
    }
    return product ?? constantOfType(type, term.coefficient);
  }

  private atom(atom: Atom, type: IndexType, depth: number): Code {
    const code = atom.kind === 'variable' ? this.lookup(atom.name).code : this.operation(atom);
    if (type === this.type) return code;
    const cast = type === 'i32' ? 'i32.wrap_i64' : 'i64.extend_i32_s';
    return this.f.hoist(depth, `cast:${atom.key}`, type, instruction(cast, code));
  }

  private operation(atom: Operation): Code {
    const depth = atomDepth(atom, (name) => this.lookup(name));
    const { known } = this.f.scopeAt(depth);
    const key = `${this.type}:${atom.key}`;
    const seen = known.get(key);
    if (seen !== undefined) return seen;
    const a = this.held(depth, atom.left);
    const b = this.held(depth, atom.right);
    return this.f.hoist(depth, key, this.type, this.operationCode(atom, a, b, depth));
  }

  /** An operand that is used more than once. */
  private held(depth: number, e: Expression): Code {
    const code = this.sum(e, this.type);
    return isSimple(code) ? code : this.f.hoist(depth, `held:${keyOf(e)}`, this.type, code);
  }

  private operationCode(atom: Operation, a: Code, b: Code, depth: number): Code {
    const { type } = this;
    const less = instruction(op(type, 'lt_s'), a, b);
    switch (atom.kind) {
      case 'minimum':
        return instruction('select', a, b, less);
      case 'maximum':
        return instruction('select', b, a, less);
      case 'lessThan':
        return this.fromCondition(less);
      case 'equalTo':
        return this.fromCondition(instruction(op(type, 'eq'), a, b));
      default:
        return this.division(atom, a, b, depth);
    }
  }

  private fromCondition(code: Code): Code {
    return this.type === 'i64' ? instruction('i64.extend_i32_u', code) : code;
  }

  /** Rounds down. Hoisting may evaluate it where it is not needed, so it must not trap. */
  private division(atom: Operation, a: Code, b: Code, depth: number): Code {
    const { type } = this;
    const quotient = atom.kind === 'floorDivide';
    const { right } = atom;
    const power = typeof right === 'number' ? Math.log2(right) : Number.NaN;
    if (Number.isInteger(power)) {
      return quotient
        ? instruction(op(type, 'shr_s'), a, this.constant(power))
        : instruction(op(type, 'and'), a, this.constant((right as number) - 1));
    }
    const guarded = instruction('select', b, this.constant(1), this.positive(b));
    const d =
      typeof right === 'number' ? b : this.f.hoist(depth, `divisor:${keyOf(right)}`, type, guarded);
    if (provablyAtLeast(atom.left, 0))
      return instruction(op(type, quotient ? 'div_s' : 'rem_s'), a, d);
    const rest = this.f.hoist(
      depth,
      `rest:${atom.key}`,
      type,
      instruction(op(type, 'rem_s'), a, d),
    );
    const negative = instruction(op(type, 'lt_s'), rest, this.constant(0));
    if (!quotient) {
      const wrapped = instruction(op(type, 'add'), rest, d);
      return instruction('select', wrapped, rest, negative);
    }
    const truncated = instruction(op(type, 'div_s'), a, d);
    return instruction(op(type, 'sub'), truncated, this.fromCondition(negative));
  }

  private positive(code: Code): Code {
    return instruction(op(this.type, 'gt_s'), code, this.constant(0));
  }
}

const op = (type: IndexType, suffix: string): Opcode => `${type}.${suffix}` as Opcode;
const combine = (type: IndexType, suffix: 'add' | 'mul', a: Code, b: Code): Code =>
  instruction(op(type, suffix), a, b);
const constantOfType = (type: IndexType, value: number | bigint): Code =>
  type === 'i64' ? constant64(value) : constant32(value);

/** A constant, or a local read: nothing is gained by holding it. */
const isSimple = (code: Code): boolean => {
  const [getter] = instruction('local.get');
  return (code[0] === getter && code.length <= 4) || code.length <= 2;
};

const isOffset = (offset: number): boolean => offset >= 0 && offset < lowestAddress;

const termExpression = (term: Term): Expression =>
  subtract({ kind: 'sum', constant: 0, terms: [term], key: term.key }, 0);

type Lookup = (name: string) => Name;

function expressionDepth(e: Expression, lookup: Lookup): number {
  let depth = 0;
  for (const name of variablesOf(e).keys()) depth = Math.max(depth, lookup(name).depth);
  return depth;
}

function atomDepth(atom: Atom, lookup: Lookup): number {
  if (atom.kind === 'variable') return lookup(atom.name).depth;
  return Math.max(expressionDepth(atom.left, lookup), expressionDepth(atom.right, lookup));
}

const termDepth = (term: Term, lookup: Lookup): number =>
  Math.max(0, ...term.atoms.map((atom) => atomDepth(atom, lookup)));

function byDepth<T>(items: readonly T[], depthOf: (item: T) => number) {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const depth = depthOf(item);
    groups.set(depth, [...(groups.get(depth) ?? []), item]);
  }
  return [...groups].sort(([a], [b]) => a - b);
}
