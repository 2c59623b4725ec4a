/** Parts of the thread mapping that need no other thread: accesses and lane-wise operations. */
import { internal, refused } from '../base/errors.js';
import {
  add,
  type Expression,
  keyOf,
  lessThan,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type { Access, Operation, ValueId } from '../kernel/tile.js';
import { broadcastSource } from './thread-demand.js';
import { activeThreads, elementOf, type Layout, registersOf, transposed } from './thread-layout.js';
import type { Element, Operand, ScalarOperation } from './thread-program.js';
import { cell, type ThreadWriter } from './thread-writer.js';

/** The mapping of one kernel. */
export interface Context {
  readonly w: ThreadWriter;
  /** Memory types of buffers and scratch arrays. */
  readonly memories: ReadonlyMap<string, MemoryType>;
  /** Memory that this kernel writes: what is loaded from it proves nothing about uniformity. */
  readonly changing: ReadonlySet<string>;
}

/** Ends the names of registers of a value's second, third … layout. */
export const suffixOf = (i: number): string => (i === 0 ? '' : `l${i}`);

/** The element that a register's lane of an access touches, and when. */
export function elementOfAccess(
  c: Context,
  access: Access,
  l: Layout | undefined,
  r: number,
): Element {
  const where = l === undefined ? [] : elementOf(l, r);
  const steps = where.map((x, d) => multiply(x, access.strides[d] ?? 0));
  const guard: (Expression | Operand)[] = where.flatMap((x, d) => {
    const { low, high } = access.limits?.[d] ?? {};
    return [
      ...(low === undefined ? [] : [lessThan(subtract(low, 1), x)]),
      ...(high === undefined ? [] : lessThanAll(x, high)),
    ];
  });
  if (access.mask !== undefined) guard.push(c.w.register(access.mask, l, r));
  return {
    memory: access.buffer,
    address: add(access.address, ...steps),
    guard: guard.filter((part) => part !== 1),
    pattern: [l?.key ?? 'uniform', ...[access.address, ...access.strides].map(keyOf)].join(','),
  };
}

/** x < high, a minimum taken apart, so that the parts that always hold can vanish. */
function lessThanAll(x: Expression, high: Expression): readonly Expression[] {
  const only = typeof high === 'object' && high.constant === 0 ? high.terms : [];
  const atom = only.length === 1 && only[0]?.coefficient === 1 ? only[0].atoms : [];
  const [first] = atom;
  if (atom.length !== 1 || first?.kind !== 'minimum') return [lessThan(x, high)];
  return [...lessThanAll(x, first.left), ...lessThanAll(x, first.right)];
}

/** Element index[lane] of a memory. */
export function indexed(
  c: Context,
  memory: string,
  index: ValueId,
  mask: ValueId | undefined,
  l: Layout | undefined,
  r: number,
): Element {
  const name = c.w.fresh('i_');
  c.w.push({ kind: 'index', name, value: c.w.register(index, l, r) });
  const guard = mask === undefined ? [] : [c.w.register(mask, l, r)];
  return { ...cell(memory, variable(name)), guard };
}

export function memoryOf(c: Context, name: string): MemoryType {
  const memory = c.memories.get(name);
  if (memory === undefined) throw internal(`memory ${name} is not declared`);
  return memory;
}

/** All registers of a load, several by one access where memory allows. */
export function mapLoad(
  c: Context,
  id: ValueId,
  o: Extract<Operation, { kind: 'load' }>,
  l: Layout | undefined,
  nameOf: (register: number) => string,
): readonly Operand[] {
  const { dtype } = c.w.typeOf(id);
  const other = o.other ?? 0;
  const all = Array.from({ length: l === undefined ? 1 : registersOf(l) }, (_, r) =>
    elementOfAccess(c, o.access, l, r),
  );
  const touched = all.flatMap((element, r) => (element.guard.includes(0) ? [] : [r]));
  // Threads beyond the layout's load too, but only owners store.
  const alone = l !== undefined && activeThreads(l) === l.group;
  const elements = touched.map((r) => {
    const element = all[r] as Element;
    return { ...element, pattern: alone ? element.pattern : `${element.pattern},copy` };
  });
  const memory = memoryOf(c, o.access.buffer);
  const named = (i: number): string => nameOf(touched[i] as number);
  const loaded = c.w.load(dtype, memory, elements, named, other);
  const none: Operand = { kind: 'literal', value: other, dtype };
  return all.map((_, r) => loaded[touched.indexOf(r)] ?? none);
}

/** One register of a value that needs no other thread. */
export function mapScalar(
  c: Context,
  id: ValueId,
  o: Operation,
  l: Layout | undefined,
  r: number,
  name: string,
): Operand {
  const { w } = c;
  const { dtype } = w.typeOf(id);
  const at = (value: ValueId): Operand => w.register(value, l, r);
  const define = (operation: ScalarOperation): Operand => w.define(name, dtype, operation);
  switch (o.kind) {
    case 'literal':
      return { kind: 'literal', value: o.value, dtype };
    case 'scalar':
      return define({ kind: 'index', expression: o.expression });
    case 'iota':
      return define({ kind: 'index', expression: l === undefined ? 0 : (elementOf(l, r)[0] ?? 0) });
    case 'load':
      return mapLoad(c, id, o, l, () => name)[r] as Operand;
    case 'gather':
      return define({
        kind: 'load',
        element: indexed(c, o.buffer, o.index, o.mask, l, r),
        other: 0,
      });
    case 'unary':
      return define({ kind: 'unary', name: o.name, a: at(o.a) });
    case 'binary':
      return define({ kind: 'binary', name: o.name, a: at(o.a), b: at(o.b) });
    case 'compare':
      return define({ kind: 'compare', name: o.name, a: at(o.a), b: at(o.b) });
    case 'select':
      return define({ kind: 'select', condition: at(o.condition), a: at(o.a), b: at(o.b) });
    case 'multiplyAdd':
      return define({ kind: 'multiplyAdd', a: at(o.a), b: at(o.b), c: at(o.c) });
    case 'convert':
      return define({ kind: 'convert', a: at(o.a) });
    case 'bitcast':
    case 'widenHalf':
    case 'narrowHalf':
      return define({ kind: o.kind, a: at(o.a) });
    case 'broadcast': {
      if (l === undefined || w.isUniform(o.a)) return w.uniform(o.a);
      const source = broadcastSource(l, o.axis);
      if (source === l) return w.register(o.a, l, r);
      const across = l.columns / l.threadColumns;
      return w.register(o.a, source, o.axis === 0 ? Math.floor(r / across) : r % across);
    }
    case 'transpose': {
      if (l === undefined) throw internal('a transpose of a scalar');
      const source = transposed(l);
      const across = l.columns / l.threadColumns;
      const [i, j] = [Math.floor(r / across), r % across];
      return w.register(o.a, source, j * (source.columns / source.threadColumns) + i);
    }
    case 'read': {
      const layouts = [...(w.demands.variables.get(o.variable)?.keys() ?? [])];
      const suffix = l === undefined ? '' : suffixOf(layouts.indexOf(l.key));
      return define({
        kind: 'copy',
        a: { kind: 'name', name: `x${o.variable}${suffix}_${r}`, dtype },
      });
    }
    default:
      throw refused(`operation ${(o as { kind: string }).kind}`, 'threads cannot do it');
  }
}
