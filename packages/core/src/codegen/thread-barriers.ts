/**
 * Puts barriers where one thread of a group could meet an element that another thread has
 * written, or is still to read. Barriers stand only in code that all threads run alike.
 */
import type { Element, ScalarOperation, ThreadStatement } from './thread-program.js';

/** An access since the last barrier. */
interface Pending {
  readonly memory: string;
  readonly how: 'read' | 'write' | 'atomic';
  readonly pattern: string;
  /** Made by an earlier turn of a loop, at an address that may differ from turn to turn. */
  readonly earlier: boolean;
}

/**
 * Adds barriers. `buffers` names the buffers that the kernel writes; all other memory that
 * statements store to is shared.
 */
export function placeBarriers(
  body: readonly ThreadStatement[],
  buffers: ReadonlySet<string>,
): readonly ThreadStatement[] {
  const written = new Set(
    accessesOf(body)
      .filter((a) => a.how !== 'read')
      .map((a) => a.memory),
  );
  return walk(body, [], { written, buffers }).statements;
}

interface Memories {
  /** Memory that needs no barrier is never written. */
  readonly written: ReadonlySet<string>;
  readonly buffers: ReadonlySet<string>;
}

interface Walked {
  readonly statements: readonly ThreadStatement[];
  readonly pending: readonly Pending[];
}

function meets(now: Pending, then: Pending): boolean {
  if (now.memory !== then.memory) return false;
  if (now.how === then.how && now.how !== 'write') return false;
  const same = now.pattern !== '' && now.pattern === then.pattern;
  if (!same) return true;
  // A store in a loop writes new elements in every turn; a load of it may see another thread's.
  return then.earlier && now.how !== then.how;
}

function walk(
  body: readonly ThreadStatement[],
  before: readonly Pending[],
  memories: Memories,
): Walked {
  const statements: ThreadStatement[] = [];
  let pending = before;
  for (const s of body) {
    if (s.kind === 'barrier') {
      statements.push(s);
      pending = [];
      continue;
    }
    // A barrier that the first turn of a loop needs stands before the loop, not in every turn.
    const own = accessesOf([s]).filter((a) => memories.written.has(a.memory));
    if (own.some((now) => pending.some((then) => meets(now, then)))) {
      const global = pending.some((then) => memories.buffers.has(then.memory));
      statements.push({ kind: 'barrier', global });
      pending = [];
    }
    pending = merge(
      pending,
      ownAccesses(s).filter((a) => memories.written.has(a.memory)),
    );
    const inner = walkInside(s, pending, memories);
    statements.push(inner.statement);
    pending = inner.pending;
  }
  return { statements, pending };
}

function merge(a: readonly Pending[], b: readonly Pending[]): readonly Pending[] {
  const keyOf = (p: Pending): string => `${p.memory} ${p.how} ${p.earlier} ${p.pattern}`;
  return [...new Map([...a, ...b].map((p) => [keyOf(p), p])).values()];
}

function walkInside(
  s: ThreadStatement,
  pending: readonly Pending[],
  memories: Memories,
): { readonly statement: ThreadStatement; readonly pending: readonly Pending[] } {
  switch (s.kind) {
    case 'for': {
      const start = merge(pending, earlierTurn(s.body, [s.index], memories));
      const body = walk(s.body, start, memories);
      return {
        statement: { ...s, body: body.statements },
        pending: merge(pending, body.pending),
      };
    }
    case 'while': {
      const all = [...s.head, ...s.body];
      const head = walk(s.head, merge(pending, earlierTurn(all, [], memories)), memories);
      const body = walk(s.body, head.pending, memories);
      return {
        statement: { ...s, head: head.statements, body: body.statements },
        pending: head.pending,
      };
    }
    case 'if': {
      const yes = walk(s.then, pending, memories);
      const no = walk(s.else, pending, memories);
      return {
        statement: { ...s, then: yes.statements, else: no.statements },
        pending: merge(yes.pending, no.pending),
      };
    }
    default:
      return { statement: s, pending };
  }
}

/** What an earlier turn of a loop may have left pending. */
function earlierTurn(
  body: readonly ThreadStatement[],
  indices: readonly string[],
  memories: Memories,
): readonly Pending[] {
  const changing = new Set([...indices, ...namesIn(body)]);
  return accessesOf(body)
    .filter((a) => memories.written.has(a.memory))
    .map((a) => ({
      ...a,
      earlier: a.pattern.split(/\W+/).some((word) => changing.has(word)),
      // What one scatter does is in no order, but its turns are.
      pattern: a.pattern.startsWith('any') ? '' : a.pattern,
    }));
}

function namesIn(body: readonly ThreadStatement[]): readonly string[] {
  return body.flatMap((s) => {
    if (s.kind === 'index') return [s.name];
    const inner = innerOf(s).flatMap(namesIn);
    return s.kind === 'for' ? [s.index, ...inner] : inner;
  });
}

function innerOf(s: ThreadStatement): readonly (readonly ThreadStatement[])[] {
  switch (s.kind) {
    case 'for':
      return [s.body];
    case 'while':
      return [s.head, s.body];
    case 'if':
      return [s.then, s.else];
    default:
      return [];
  }
}

function accessesOf(body: readonly ThreadStatement[]): readonly Pending[] {
  return body.flatMap((s) => [...ownAccesses(s), ...innerOf(s).flatMap(accessesOf)]);
}

const access = (element: Element, how: Pending['how']): Pending => ({
  memory: element.memory,
  how,
  pattern: element.pattern,
  earlier: false,
});

const loads = (o: ScalarOperation): readonly Pending[] =>
  o.kind === 'load' ? [access(o.element, 'read')] : [];

/** Accesses of a statement itself, without those in bodies. */
function ownAccesses(s: ThreadStatement): readonly Pending[] {
  switch (s.kind) {
    case 'let':
    case 'assign':
      return loads(s.operation);
    case 'loadVector':
      return [access(s.element, 'read')];
    case 'store':
    case 'storeVector':
      return [access(s.element, 'write')];
    case 'atomic':
      return [access(s.element, 'atomic')];
    case 'exchange':
      return [{ memory: s.memory, how: 'write', pattern: '', earlier: false }];
    default:
      return [];
  }
}
