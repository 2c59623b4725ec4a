/**
 * Bits of f16 between memory and their conversion: kept as u16, so that no instruction widens and
 * narrows them on the way.
 */
import type { MemoryType } from '../base/target.js';
import type { Operation, Statement, TileProgram, ValueId } from '../kernel/tile.js';

/** Vectors of u32 that are made from, and used as, u16 only. */
export function narrowValues(program: TileProgram): ReadonlySet<ValueId> {
  const memory = new Map<string, MemoryType>(
    [...program.buffers, ...program.scratch].map((buffer) => [buffer.name, buffer.memory]),
  );
  const isShort = (buffer: string): boolean => memory.get(buffer) === 'u16';
  const made = new Set<ValueId>();
  const others = new Set<ValueId>();
  const use = (o: Operation): void => {
    if (o.kind === 'literal' || o.kind === 'widenHalf') return;
    for (const value of Object.values(o)) if (typeof value === 'number') others.add(value);
    if (o.kind === 'load' && o.access.mask !== undefined) others.add(o.access.mask);
  };
  const makes = (o: Operation): boolean =>
    o.kind === 'narrowHalf' ||
    (o.kind === 'load' && (o.other ?? 0) === 0 && isShort(o.access.buffer));
  const visit = (list: readonly Statement[]): void => {
    for (const s of list) {
      switch (s.kind) {
        case 'let':
          use(s.operation);
          if (s.type.dtype === 'u32' && s.type.shape.length > 0 && makes(s.operation)) {
            made.add(s.id);
          }
          break;
        case 'store':
          if (!isShort(s.access.buffer)) others.add(s.value);
          break;
        case 'for':
          visit(s.body);
          break;
        case 'while':
          visit(s.head);
          visit(s.body);
          break;
        case 'if':
          visit(s.then);
          visit(s.else);
          break;
        case 'variable':
          others.add(s.initial);
          break;
        case 'assign':
        case 'name':
        case 'scatter':
        case 'atomic':
          others.add(s.value);
          break;
        default:
          break;
      }
    }
  };
  visit(program.body);
  return new Set([...made].filter((id) => !others.has(id)));
}
