/**
 * What a kernel's accesses say about layouts, before any is chosen: what divides the names in
 * addresses, along which axis memory lies side by side, and how many elements one access can move.
 */
import { divisorOf, type Expression } from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type {
  Access,
  Operation,
  Statement,
  TileProgram,
  ValueId,
  VariableId,
} from '../kernel/tile.js';
import { alignedWidth, widthOf } from './thread-vector.js';

/** Where a tile comes from: the contiguous axis of its memory, and the width of an access. */
export interface Origin {
  readonly axis: number;
  readonly width: number;
}

export interface Survey {
  readonly divisors: ReadonlyMap<string, number>;
  /** Of tiles that are loaded, and of those computed from them lane by lane. */
  readonly origins: ReadonlyMap<ValueId, Origin>;
  /** What suits every access of tiles of this shape; along columns where they disagree. */
  homeOf(shape: readonly number[]): Origin | undefined;
}

/** Bodies inside a statement, in order of execution. */
export function bodiesOf(s: Statement): readonly (readonly Statement[])[] {
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

/** Operands of an operation that works lane by lane. */
export function operandsOf(o: Operation): readonly ValueId[] {
  switch (o.kind) {
    case 'gather':
      return o.mask === undefined ? [o.index] : [o.index, o.mask];
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'widenHalf':
    case 'narrowHalf':
      return [o.a];
    case 'binary':
    case 'compare':
      return [o.a, o.b];
    case 'select':
      return [o.condition, o.a, o.b];
    case 'multiplyAdd':
      return [o.a, o.b, o.c];
    default:
      return [];
  }
}

export function surveyAccesses(program: TileProgram, accessBytes: number): Survey {
  const memories = new Map<string, MemoryType>(
    [...program.buffers, ...program.scratch].map((m) => [m.name, m.memory]),
  );
  const divisors = new Map<string, number>();
  const origins = new Map<ValueId, Origin>();
  const expressions = new Map<ValueId, Expression>();
  const variables = new Map<VariableId, Origin>();
  const shapes = new Map<ValueId, readonly number[]>();
  const homes = new Map<string, Origin>();
  const vote = (shape: readonly number[], wanted: Origin): void => {
    const key = shape.join('x');
    const known = homes.get(key) ?? wanted;
    const none = { axis: shape.length - 1, width: 1 };
    const width = Math.min(wanted.width, known.width);
    homes.set(key, known.axis === wanted.axis ? { axis: known.axis, width } : none);
  };
  const originOf = ({ strides, ...rest }: Access): Origin => {
    const last = strides.length - 1;
    const axis = strides[last] !== 1 && strides[0] === 1 ? 0 : last;
    if (strides[axis] !== 1) return { axis, width: 1 };
    const most = widthOf(accessBytes, memories.get(rest.buffer) ?? 'f64');
    const known = (name: string): number => divisors.get(name) ?? 1;
    return { axis, width: alignedWidth({ strides, ...rest }, axis, most, known) };
  };
  const touch = (access: Access, shape: readonly number[]): void => {
    const last = shape.length - 1;
    // One element for a whole row asks for nothing.
    if (access.strides[last] === 0) return;
    vote(shape, originOf(access));
  };
  const visitLet = (id: ValueId, shape: readonly number[], o: Operation): void => {
    shapes.set(id, shape);
    if (o.kind === 'scalar') expressions.set(id, o.expression);
    if (shape.length === 0) return;
    if (o.kind === 'load') {
      touch(o.access, shape);
      origins.set(id, originOf(o.access));
      return;
    }
    if (o.kind === 'gather') vote(shape, { axis: shape.length - 1, width: 1 });
    const source = o.kind === 'read' ? variables.get(o.variable) : undefined;
    const first = operandsOf(o).find((a) => origins.has(a) && shapes.get(a)?.length === 2);
    const origin = source ?? (first === undefined ? undefined : origins.get(first));
    if (origin !== undefined && shape.length === 2 && o.kind !== 'gather') origins.set(id, origin);
  };
  const walk = (body: readonly Statement[]): void => {
    for (const s of body) {
      if (s.kind === 'let') visitLet(s.id, s.type.shape, s.operation);
      else if (s.kind === 'name') {
        const value = expressions.get(s.value);
        const known = (name: string): number => divisors.get(name) ?? 1;
        if (value !== undefined) divisors.set(s.name, divisorOf(value, known));
      } else if (s.kind === 'variable') {
        const origin = origins.get(s.initial);
        if (origin !== undefined) variables.set(s.id, origin);
      } else if (s.kind === 'store') touch(s.access, shapes.get(s.value) ?? []);
      else if (s.kind === 'scatter' || s.kind === 'atomic') {
        for (const id of [s.value, s.index]) {
          const shape = shapes.get(id) ?? [];
          vote(shape, { axis: shape.length - 1, width: 1 });
        }
      } else if (s.kind === 'for') {
        const step = divisorOf(s.step, (name) => divisors.get(name) ?? 1);
        const start = divisorOf(s.start, (name) => divisors.get(name) ?? 1);
        if (start % step === 0) divisors.set(s.index, step);
      }
      for (const inner of bodiesOf(s)) walk(inner);
    }
  };
  walk(program.body);
  return { divisors, origins, homeOf: (shape) => homes.get(shape.join('x')) };
}
