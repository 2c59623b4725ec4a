/**
 * One function under construction: locals, and nested scopes that hoist. Code whose inputs come
 * from an outer scope is placed before the inner one and remembered there, so loop-invariant
 * parts leave loops and equal parts are computed once.
 */
import { append, branch, type Code, getLocal, setLocal, type ValueType } from './wasm-encode.js';

export interface Scope {
  /** Runs before the scope is entered. */
  readonly before: number[];
  readonly body: number[];
  /** Runs after each iteration. */
  readonly after: number[];
  /** Code that gives a value computed in this scope, by key. */
  readonly known: Map<string, Code>;
}

const newScope = (): Scope => ({ before: [], body: [], after: [], known: new Map() });

export class FunctionBuilder {
  readonly parameters: readonly ValueType[];
  readonly locals: ValueType[] = [];
  private readonly scopes: Scope[] = [newScope()];

  constructor(parameters: readonly ValueType[]) {
    this.parameters = parameters;
  }

  /** Depth of the scope that is open: 0 for the function itself. */
  get depth(): number {
    return this.scopes.length - 1;
  }

  scopeAt(depth: number): Scope {
    return this.scopes[depth] as Scope;
  }

  get body(): Code {
    return this.scopeAt(0).body;
  }

  newLocal(type: ValueType): number {
    this.locals.push(type);
    return this.parameters.length + this.locals.length - 1;
  }

  emit(code: Code): void {
    append(this.scopeAt(this.depth).body, code);
  }

  /** Computes now, gives code that reads the result. */
  define(type: ValueType, code: Code): Code {
    const local = this.newLocal(type);
    this.emit(setLocal(local, code));
    return getLocal(local);
  }

  /** As define, in the scope at `depth` (the deepest that the code's inputs need), once per key. */
  hoist(depth: number, key: string, type: ValueType, code: Code): Code {
    const { known } = this.scopeAt(depth);
    const seen = known.get(key);
    if (seen !== undefined) return seen;
    const local = this.newLocal(type);
    this.place(depth, setLocal(local, code));
    known.set(key, getLocal(local));
    return getLocal(local);
  }

  /** Adds code to the scope at `depth`, ahead of the inner scope that is open. */
  place(depth: number, code: Code): void {
    append(depth === this.depth ? this.scopeAt(depth).body : this.scopeAt(depth + 1).before, code);
  }

  /** Opens a scope, builds, closes it; the caller places its parts. */
  inScope(build: () => void): Scope {
    this.scopes.push(newScope());
    build();
    return this.scopes.pop() as Scope;
  }

  /** Structured if; the condition is i32 made before. */
  branch(condition: Code, then: () => void, otherwise: () => void = () => {}): void {
    const first = this.inScope(then);
    const second = this.inScope(otherwise);
    this.emit(first.before);
    this.emit(second.before);
    this.emit(branch(condition, first.body, second.body));
  }
}
