/**
 * Which part of a buffer each task has to itself: task t touches only elements t·w to (t + 1)·w.
 * Found from the addresses of a tile program, whose loops and names are replaced by their bounds.
 */
import {
  type Atom,
  add,
  divisorOf,
  type Expression,
  equal,
  fromAtom,
  fromTerm,
  linearIn,
  makeTerm,
  minimum,
  multiply,
  provablyAtLeast,
  substitute,
  subtract,
  termsOf,
  variable,
  variablesOf,
} from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Access, GridAxis, Operation, Statement, TileProgram, TileType } from './tile.js';

/** A loop's index or a named value; `bounds` are absent where it comes from data. */
interface Name {
  readonly name: string;
  /** Least and greatest value, over names that are bound further out. */
  readonly bounds: { readonly low: Expression; readonly high: Expression } | undefined;
}

/** What holds where a statement stands: names that are bound, and what guards say. */
interface Scope {
  readonly names: Name[];
  /** Not negative there. */
  readonly facts: readonly Expression[];
}

/** The first and the last element of an access, and what holds there. */
interface Span extends Scope {
  readonly low: Expression;
  readonly high: Expression;
}

type Condition = Extract<Statement, { kind: 'if' }>['condition'];

interface Touched {
  readonly spans: Span[];
  /** Nothing is known of some access. */
  isShared: boolean;
}

const known = new WeakMap<TileProgram, readonly Expression[]>();

/** Bytes of each buffer that a task has to itself; 0 where it shares them. */
export function windowsOf(program: TileProgram): readonly Expression[] {
  const found = known.get(program) ?? findWindows(program);
  known.set(program, found);
  return found;
}

function findWindows({ grid, body, buffers }: TileProgram): readonly Expression[] {
  const touched = new Map(
    buffers.map(({ name }): [string, Touched] => [name, { spans: [], isShared: false }]),
  );
  new Survey(touched).walk(body, { names: [], facts: [] });
  return buffers.map(({ name, memory }) => {
    const elements = windowOf(touched.get(name) as Touched, grid);
    return multiply(bytesOfMemory[memory], elements);
  });
}

/** The number of a task: the last axis of the grid runs first. */
const taskOf = (grid: readonly GridAxis[]): Expression =>
  grid.reduce<Expression>(
    (outer, { name, extent }) => add(multiply(outer, extent), variable(name, extent)),
    0,
  );

function windowOf({ spans, isShared }: Touched, grid: readonly GridAxis[]): Expression {
  const [first] = spans;
  const inner = grid.at(-1);
  if (isShared || first === undefined || inner === undefined) return 0;
  const window = linearIn(startOf(first), inner.name)?.coefficient;
  if (window === undefined || window === 0 || !provablyAtLeast(window, 0)) return 0;
  const start = multiply(window, taskOf(grid));
  const last = add(start, window, -1);
  const isInside = spans.every(({ low, high, ...scope }) => {
    const proof = new Proof(scope, grid);
    return proof.isPositive(subtract(low, start)) && proof.isPositive(subtract(last, high));
  });
  return isInside ? window : 0;
}

/** Where an access begins that is the first of all loops. */
const startOf = ({ low, names }: Span): Expression =>
  names.reduceRight(
    (e, { name, bounds }) => substitute(e, (each) => (each === name ? bounds?.low : undefined)),
    low,
  );

/** Collects what is touched of each buffer. */
class Survey {
  private readonly touched: ReadonlyMap<string, Touched>;
  private readonly scalars = new Map<number, Expression>();
  private readonly types = new Map<number, TileType>();

  constructor(touched: ReadonlyMap<string, Touched>) {
    this.touched = touched;
  }

  /** Names that the statements bind are added to the scope. */
  walk(body: readonly Statement[], scope: Scope): void {
    for (const s of body) this.statement(s, scope);
  }

  private statement(s: Statement, scope: Scope): void {
    const { names, facts } = scope;
    switch (s.kind) {
      case 'let':
        this.types.set(s.id, s.type);
        this.operation(s.id, s.type, s.operation, scope);
        return;
      case 'name': {
        const exact = this.scalars.get(s.value);
        const bounds = exact === undefined ? undefined : { low: exact, high: exact };
        names.push({ name: s.name, bounds });
        return;
      }
      case 'store':
        this.access(s.access, this.types.get(s.value)?.shape ?? [], scope);
        return;
      case 'scatter':
      case 'atomic':
        this.share(s.buffer);
        return;
      case 'for': {
        const isWhole =
          typeof s.step === 'number' && divides(s.step, exactly(subtract(s.end, s.start), names));
        const high = subtract(s.end, isWhole ? s.step : 1);
        const index = { name: s.index, bounds: { low: s.start, high } };
        this.walk(s.body, { names: [...names, index], facts });
        return;
      }
      case 'while': {
        const inner = { names: [...names], facts };
        this.walk(s.head, inner);
        this.walk(s.body, inner);
        return;
      }
      case 'if':
        this.walk(s.then, { names: [...names], facts: [...facts, ...factsOf(s.condition, names)] });
        this.walk(s.else, { names: [...names], facts });
        return;
      default:
    }
  }

  private operation(id: number, type: TileType, o: Operation, scope: Scope): void {
    if (o.kind === 'scalar') this.scalars.set(id, o.expression);
    if (o.kind === 'load') this.access(o.access, type.shape, scope);
    if (o.kind === 'gather') this.share(o.buffer);
  }

  private share(buffer: string): void {
    const touched = this.touched.get(buffer);
    if (touched !== undefined) touched.isShared = true;
  }

  private access(access: Access, shape: readonly number[], scope: Scope): void {
    const { buffer, address, strides, limits = [] } = access;
    const touched = this.touched.get(buffer);
    if (touched === undefined || touched.isShared) return;
    const isForward = strides.every((stride) => provablyAtLeast(stride, 0));
    const ends = strides.map((stride, axis) => {
      const extent = shape[axis] ?? 1;
      const high = minimum(extent, limits[axis]?.high ?? extent);
      return multiply(stride, subtract(high, 1));
    });
    const high = add(address, ...ends);
    if (isForward) touched.spans.push({ ...scope, low: address, high });
    else touched.isShared = true;
  }
}

/** The expression with the values of names in their place, as far as they are no loop's. */
const exactly = (e: Expression, names: readonly Name[]): Expression =>
  names.reduceRight((whole, { name, bounds }) => {
    const value = bounds !== undefined && equal(bounds.low, bounds.high) ? bounds.low : undefined;
    return substitute(whole, (each) => (each === name ? value : undefined));
  }, e);

/** What is not negative where a condition holds. */
function factsOf(condition: Condition, names: readonly Name[]): readonly Expression[] {
  if (typeof condition !== 'number' && 'value' in condition) return [];
  const [term, ...others] = termsOf(condition);
  if (term === undefined || others.length > 0 || constantOf(condition) !== 0) return [];
  // A product that is not 0 has no factor that is.
  const facts = term.atoms.flatMap((atom): Expression[] => {
    if (atom.kind === 'variable') return atom.minimum < 0 ? [] : [add(fromAtom(atom), -1)];
    const { kind, left, right } = atom;
    if (kind === 'lessThan') return [subtract(right, add(left, 1))];
    return kind === 'floorDivide' && provablyAtLeast(left, 0) ? [subtract(left, right)] : [];
  });
  return facts.map((fact) => exactly(fact, names));
}

const constantOf = (e: Expression): number => (typeof e === 'number' ? e : e.constant);

const divides = (step: number, e: Expression): boolean => divisorOf(e) % step === 0;

/** More steps than this no proof is looked for. */
const mostSteps = 64;

/** A sum as `coefficient` · `others` · operation + `rest`, the others not negative. */
interface Found {
  readonly operation: Operator;
  readonly coefficient: number;
  readonly others: Expression;
  readonly rest: Expression;
}

type Operator = Exclude<Atom, { readonly kind: 'variable' }>;

/** Proofs that expressions are not negative whatever the names and tasks are. */
class Proof {
  private readonly names: readonly Name[];
  private readonly facts: readonly Expression[];
  private readonly grid: readonly GridAxis[];
  private steps = 0;

  constructor({ names, facts }: Scope, grid: readonly GridAxis[]) {
    this.names = names;
    this.facts = facts;
    this.grid = grid;
  }

  /** Whether e ≥ 0. False means "not proven". */
  isPositive(e: Expression): boolean {
    if (provablyAtLeast(e, 0)) return true;
    this.steps += 1;
    if (this.steps > mostSteps) return false;
    const inner = this.operation(e, (name) => this.names.some((each) => each.name === name));
    if (inner !== undefined) return this.without(inner);
    const present = variablesOf(e);
    const name = this.names.findLast((each) => present.has(each.name));
    if (name !== undefined) return this.atWorst(e, name.name, name.bounds);
    const outer = this.operation(e, (each) => this.grid.some((axis) => axis.name === each));
    if (outer !== undefined) return this.without(outer);
    const axis = this.grid.find((each) => present.has(each.name));
    if (axis !== undefined) {
      return this.atWorst(e, axis.name, { low: 0, high: subtract(axis.extent, 1) });
    }
    const size = this.operation(e, () => true);
    return size !== undefined && this.without(size);
  }

  private atWorst(e: Expression, name: string, bounds: Name['bounds']): boolean {
    const linear = linearIn(e, name);
    if (linear === undefined || bounds === undefined) return false;
    const { coefficient, rest } = linear;
    const at = (value: Expression): boolean =>
      this.isPositive(add(rest, multiply(coefficient, value)));
    if (equal(bounds.low, bounds.high)) return at(bounds.low);
    if (provablyAtLeast(coefficient, 0)) return at(bounds.low) || this.byFact(e, name);
    return provablyAtLeast(0, coefficient) && (at(bounds.high) || this.byFact(e, name));
  }

  /** Whether e ≥ 0 because it is some times a fact, and more: both of a name. */
  private byFact(e: Expression, name: string): boolean {
    const coefficient = linearIn(e, name)?.coefficient;
    return this.facts.some((fact) => {
      const of = linearIn(fact, name)?.coefficient;
      if (typeof coefficient !== 'number' || typeof of !== 'number' || of === 0) return false;
      const times = coefficient / of;
      if (!(times > 0 && Number.isInteger(times))) return false;
      return this.isPositive(subtract(e, multiply(times, fact)));
    });
  }

  /** An operation on such names; a remainder first, which may complete a quotient. */
  private operation(e: Expression, isOf: (name: string) => boolean): Found | undefined {
    const found = termsOf(e).flatMap((term): Found[] => {
      const { atoms, coefficient } = term;
      const at = atoms.findIndex(({ kind }) => kind !== 'variable');
      const atom = atoms[at];
      if (atom === undefined || atom.kind === 'variable') return [];
      // Of a power one factor is taken.
      const others = fromTerm(makeTerm(1, atoms.toSpliced(at, 1)));
      const names = [...variablesOf(atom.left).keys(), ...variablesOf(atom.right).keys()];
      if (!names.some(isOf) || !provablyAtLeast(others, 0)) return [];
      return [{ operation: atom, coefficient, others, rest: subtract(e, fromTerm(term)) }];
    });
    return found.find(({ operation }) => operation.kind === 'modulo') ?? found[0];
  }

  /** Proves it for every value that the operation of a term may have. */
  private without({ operation, coefficient: c, others, rest }: Found): boolean {
    const { kind, left, right } = operation;
    const holds = (value: Expression): boolean =>
      this.isPositive(add(rest, multiply(c, others, value)));
    const holdsFor = (least: Expression, greatest: Expression): boolean =>
      holds(c > 0 ? least : greatest);
    switch (kind) {
      case 'minimum':
        return c > 0 ? holds(left) && holds(right) : holds(left) || holds(right);
      case 'maximum':
        return c > 0 ? holds(left) || holds(right) : holds(left) && holds(right);
      case 'modulo': {
        const whole = others === 1 ? wholeOf(operation, c, rest) : undefined;
        if (whole !== undefined) return this.isPositive(add(rest, whole));
        return holdsFor(0, subtract(right, 1));
      }
      case 'floorDivide': {
        if (typeof right !== 'number' || others !== 1) return false;
        const parts = dividedBy(rest, Math.abs(c));
        if (parts === undefined) {
          if (c % right !== 0) return false;
          const value = c > 0 ? subtract(left, right - 1) : left;
          return this.isPositive(add(rest, multiply(c / right, value)));
        }
        // ⌊x / d⌋ ≥ −r where x ≥ −r·d, and ⌊x / d⌋ ≤ r where x < (r + 1)·d.
        const limit = multiply(right, parts);
        return this.isPositive(c > 0 ? add(left, limit) : subtract(add(limit, right - 1), left));
      }
      default:
        return holdsFor(0, 1);
    }
  }
}

/** e / d where nothing remains of any term. */
function dividedBy(e: Expression, d: number): Expression | undefined {
  const constant = constantOf(e);
  if (constant % d !== 0 || termsOf(e).some(({ coefficient }) => coefficient % d !== 0)) {
    return undefined;
  }
  const parts = termsOf(e).map(({ coefficient, atoms }) =>
    fromTerm(makeTerm(coefficient / d, atoms)),
  );
  return add(constant / d, ...parts);
}

/** What c·(x % d) is where the rest has c·d·⌊x / d⌋, which it takes away: c·x. */
function wholeOf(
  { left, right }: Operator,
  coefficient: number,
  rest: Expression,
): Expression | undefined {
  if (typeof right !== 'number') return undefined;
  const quotient = termsOf(rest).find(({ coefficient: of, atoms: [atom, ...more] }) => {
    if (atom?.kind !== 'floorDivide' || more.length > 0) return false;
    return of === coefficient * right && equal(atom.left, left) && equal(atom.right, right);
  });
  return quotient && subtract(multiply(coefficient, left), fromTerm(quotient));
}
