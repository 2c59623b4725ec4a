/**
 * Maps tile programs to threads: each tile is spread over the threads of a group (see
 * `thread-layout.ts`), once per layout that its uses need (`thread-demand.ts`); uniform values
 * are computed by every thread. Gives a thread program for the printers.
 */
import { internal, refused, tooLarge } from '../base/errors.js';
import {
  type Expression,
  floorDivide,
  lessThan,
  modulo,
  product,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Operation, Statement, TileProgram, ValueId } from '../kernel/tile.js';
import { placeBarriers } from './thread-barriers.js';
import { mapDot, mapReduce, mapScan } from './thread-collective.js';
import { computedLayouts, findDemands } from './thread-demand.js';
import { type Layout, ownerGuard, placeStatements, registersOf } from './thread-layout.js';
import { mapMatrixDot } from './thread-matrix.js';
import {
  type Element,
  type Guard,
  laneName,
  type Operand,
  type ThreadProgram,
  type ThreadStatement,
  taskName,
} from './thread-program.js';
import {
  type Context,
  elementOfAccess,
  indexed,
  mapLoad,
  mapScalar,
  memoryOf,
  suffixOf,
} from './thread-scalar.js';
import { bodiesOf } from './thread-survey.js';
import { widthOf } from './thread-vector.js';
import {
  loadTile,
  type SharedTile,
  sharedBytesOf,
  sharedType,
  storeTile,
  ThreadWriter,
} from './thread-writer.js';

/** What every implementation of WebGPU lets one thread have for itself. */
export const privateBytes = 8192;

/**
 * Maps a kernel to threads of groups of `program.group`.
 * On `vector` targets a group is one thread, and `shared` is its own memory.
 * Throws tooLarge when the group or its memory exceeds the target.
 */
export function mapThreads(program: TileProgram, target: Target): ThreadProgram {
  const { group } = program;
  if (group > target.maxGroup) throw tooLarge('a group of threads', group, target.maxGroup);
  const accessBytes = target.accessBytes ?? 0;
  const bundles = target.features?.includes('bundles') ?? false;
  const demands = findDemands(program, accessBytes);
  const w = new ThreadWriter(demands, group, { accessBytes, bundles });
  for (const s of program.scratch) w.array(s.name, s.memory, s.length);
  const writable = new Set(program.buffers.filter((b) => b.access !== 'read').map((b) => b.name));
  const scratch = new Set(program.scratch.map((s) => s.name));
  const memories = new Map([...program.buffers, ...program.scratch].map((m) => [m.name, m.memory]));
  const context: Context = { w, memories, changing: new Set([...writable, ...scratch]) };
  const inner = w.inside(() => mapBody(context, program.body));
  const places = new Map<string, ThreadStatement>();
  for (const l of w.layouts.values()) {
    for (const s of placeStatements(l)) if (s.kind === 'index') places.set(s.name, s);
  }
  const atomics = atomicBuffers(program.body);
  const exact = target.maxGrid[0] >= wideGrid;
  const body = [...taskStatements(program, exact), ...places.values(), ...inner];
  const shared = [...w.arrays.values()];
  const limit = target.execution === 'vector' ? privateBytes : target.sharedBytes;
  return {
    name: program.name,
    group,
    buffers: program.buffers.map((b) => ({ ...b, atomic: atomics.has(b.name) })),
    sizes: program.sizes,
    indexType: program.indexType,
    shared,
    sharedBytes: sharedBytesOf(shared, limit, accessBytes),
    accessBytes,
    exactGrid: exact,
    grid: program.grid,
    body: group === 1 ? body : placeBarriers(body, writable),
    mayFail: program.mayFail,
  };
}

function atomicBuffers(
  body: readonly Statement[],
  into: Set<string> = new Set(),
): ReadonlySet<string> {
  for (const s of body) {
    if (s.kind === 'atomic') into.add(s.buffer);
    for (const inner of bodiesOf(s)) atomicBuffers(inner, into);
  }
  return into;
}

/** Groups along the first axis of a launch from which on every kernel fits that axis alone. */
export const wideGrid = 2 ** 31 - 1;

/** Grid coordinates from the number of the group; groups beyond the last task leave. */
function taskStatements(program: TileProgram, exact: boolean): readonly ThreadStatement[] {
  const task = variable(taskName);
  const total = product(program.grid.map((axis) => axis.extent));
  let rest: Expression = task;
  const coordinates = program.grid.toReversed().map((axis, i): ThreadStatement => {
    const first = i === program.grid.length - 1;
    const value = first ? rest : modulo(rest, axis.extent);
    rest = floorDivide(rest, axis.extent);
    return { kind: 'index', name: axis.name, value };
  });
  // Without need the barriers of a kernel shall not stand behind a return.
  if (exact) return coordinates;
  return [{ kind: 'leaveUnless', guard: [lessThan(task, total)] }, ...coordinates];
}

function mapBody(c: Context, body: readonly Statement[]): void {
  for (const s of body) mapStatement(c, s);
}

function mapStatement(c: Context, s: Statement): void {
  const { w } = c;
  switch (s.kind) {
    case 'let':
      mapLet(c, s.id, s.operation);
      return;
    case 'name':
      w.push({ kind: 'index', name: s.name, value: provenUniform(w, s.value) });
      return;
    case 'variable':
      for (const [l, suffix] of placesOf(c, s.id)) {
        for (let r = 0; r < (l === undefined ? 1 : registersOf(l)); r++) {
          const initial = w.register(s.initial, l, r);
          const name = `x${s.id}${suffix}_${r}`;
          w.push({ kind: 'variable', name, dtype: s.type.dtype, initial });
        }
      }
      return;
    case 'assign':
      for (const [l, suffix] of placesOf(c, s.variable)) {
        for (let r = 0; r < (l === undefined ? 1 : registersOf(l)); r++) {
          const a = w.register(s.value, l, r);
          const name = `x${s.variable}${suffix}_${r}`;
          w.push({ kind: 'assign', name, dtype: a.dtype, operation: { kind: 'copy', a } });
        }
      }
      return;
    case 'store': {
      const elements: Element[] = [];
      const values: Operand[] = [];
      eachOwned(c, [s.value], (l, r) => {
        const element = elementOfAccess(c, s.access, l, r);
        if (element.guard.includes(0)) return;
        elements.push({ ...element, guard: [...element.guard, ...ownedBy(c, l)] });
        values.push(w.register(s.value, l, r));
      });
      w.store(memoryOf(c, s.access.buffer), elements, values);
      return;
    }
    case 'touch':
      return;
    case 'scatter':
    case 'atomic': {
      const pattern = w.fresh('any');
      eachOwned(c, [s.index, s.value], (l, r) => {
        const element = { ...indexed(c, s.buffer, s.index, s.mask, l, r), pattern };
        const guard = [...element.guard, ...ownedBy(c, l)];
        const value = w.register(s.value, l, r);
        const whole = { ...element, guard };
        if (s.kind === 'scatter') w.push({ kind: 'store', element: whole, value });
        else w.push({ kind: 'atomic', name: s.name, element: whole, value });
      });
      return;
    }
    case 'for':
      w.push({
        kind: 'for',
        index: s.index,
        start: s.start,
        end: s.end,
        step: s.step,
        unroll: s.unroll ?? 1,
        body: w.inside(() => mapBody(c, s.body)),
      });
      return;
    case 'while': {
      let condition: Operand | undefined;
      const head = w.inside(() => {
        mapBody(c, s.head);
        condition = provenUniform(w, s.condition);
      });
      if (condition === undefined) throw internal('a while loop has no condition');
      w.push({ kind: 'while', head, condition, body: w.inside(() => mapBody(c, s.body)) });
      return;
    }
    case 'if': {
      const condition = s.condition;
      const byValue = typeof condition === 'object' && 'value' in condition;
      w.push({
        kind: 'if',
        guard: [byValue ? provenUniform(w, condition.value) : condition],
        then: w.inside(() => mapBody(c, s.then)),
        else: w.inside(() => mapBody(c, s.else)),
      });
      return;
    }
    case 'fail':
      eachOwned(c, [s.when], (l, r) => {
        w.push({ kind: 'fail', when: w.register(s.when, l, r), code: s.code });
      });
      return;
    default:
      throw refused(`statement ${(s as { kind: string }).kind}`, 'threads cannot do it');
  }
}

/** A uniform value for use in control flow; what is not proven passes through one thread. */
function provenUniform(w: ThreadWriter, id: ValueId): Operand {
  const a = w.uniform(id);
  if (a.kind === 'literal' || w.group === 1 || w.isProven(id)) return a;
  return w.define(w.fresh('u_'), a.dtype, { kind: 'uniform', a });
}

/** Layouts of a variable, each with the suffix of its registers' names; undefined: uniform. */
function placesOf(c: Context, id: number): readonly (readonly [Layout | undefined, string])[] {
  if (c.w.demands.uniformVariables.has(id)) return [[undefined, '']];
  const layouts = [...(c.w.demands.variables.get(id)?.values() ?? [])];
  return layouts.map((l, i) => [c.w.use(l), suffixOf(i)]);
}

/** Runs for each register of the home layout of the first value that is no scalar. */
function eachOwned(
  c: Context,
  ids: readonly ValueId[],
  run: (l: Layout | undefined, r: number) => void,
): void {
  const wide = ids.find((id) => !c.w.isUniform(id));
  if (wide === undefined) {
    run(undefined, 0);
    return;
  }
  const home = c.w.use(c.w.demands.home(c.w.typeOf(wide).shape));
  for (let r = 0; r < registersOf(home); r++) run(home, r);
}

/** Holds in the one thread that acts for an element. */
function ownedBy(c: Context, l: Layout | undefined): Guard {
  if (l !== undefined) return ownerGuard(l);
  return c.w.group === 1 ? [] : [lessThan(variable(laneName, c.w.group), 1)];
}

function mapLet(c: Context, id: ValueId, o: Operation): void {
  const { w } = c;
  if (w.isUniform(id)) {
    if (isProven(c, o)) w.setProven(id);
    if (o.kind === 'reduce') mapReduce(w, id, o);
    else w.setRegisters(id, undefined, [mapScalar(c, id, o, undefined, 0, `v${id}_0`)]);
    return;
  }
  const wanted = [...(w.demands.values.get(id)?.values() ?? [])].map((l) => w.use(l));
  const shared = w.demands.shared.has(id);
  const layouts = computedLayouts(id, o, w.demands).map((l) => w.use(l));
  if (layouts.length === 0) return;
  if (o.kind === 'reduce') mapReduce(w, id, o);
  else if (o.kind === 'scan') mapScan(w, id, o);
  else if (o.kind === 'dot' && o.unit !== undefined) mapMatrixDot(w, id, o);
  else if (o.kind === 'dot') mapDot(w, id, o);
  else {
    for (const [i, l] of layouts.entries()) {
      const name = `v${id}${suffixOf(i)}`;
      const registers =
        o.kind === 'load'
          ? mapLoad(c, id, o, l, (r) => `${name}_${r}`)
          : Array.from({ length: registersOf(l) }, (_, r) =>
              mapScalar(c, id, o, l, r, `${name}_${r}`),
            );
      w.setRegisters(id, l, registers);
    }
  }
  if (shared) shareTile(w, id, layouts[0] as Layout, wanted);
}

/** Puts a value that was made in one layout into shared memory, and reads it where asked. */
function shareTile(w: ThreadWriter, id: ValueId, made: Layout, wanted: readonly Layout[]): void {
  const { dtype, shape } = w.typeOf(id);
  const [rows = 1, columns = 1] = shape.length === 2 ? shape : [1, shape[0]];
  const unit = w.demands.operands.get(id);
  const isLeft = w.demands.lefts.has(id);
  // Along the depth a matrix unit takes words; a right operand lies as it was loaded.
  const byColumn = unit === undefined ? w.accessBytes > 0 && isLeft : !isLeft && made.byColumn;
  const [length, lines] = byColumn ? [rows, columns] : [columns, rows];
  const memoryType = unit?.memory ?? sharedType(dtype);
  const width = widthOf(w.accessBytes, memoryType);
  const pitch =
    unit === undefined ? pitchOf(length, lines, width, made, byColumn) : length + unitPadding;
  const memory = w.array(`tile_${id}`, memoryType, pitch * lines);
  const steps = { rowStep: byColumn ? 1 : pitch, columnStep: byColumn ? pitch : 1 };
  const tile: SharedTile = { memory, ...steps };
  const registers = Array.from({ length: registersOf(made) }, (_, r) => w.register(id, made, r));
  w.setTile(id, tile);
  storeTile(w, tile, made, registers);
  for (const [i, l] of wanted.entries()) {
    if (l.key === made.key) continue;
    w.setRegisters(
      id,
      l,
      loadTile(w, dtype, tile, l, (r) => `v${id}s${i}_${r}`),
    );
  }
}

/** Elements behind a line of a unit's operand: 16 bytes, so that a bundle meets all banks. */
const unitPadding = 8;

/** Elements from line to line of a shared tile, so that few threads meet in one bank. */
function pitchOf(
  length: number,
  lines: number,
  width: number,
  made: Layout,
  byColumn: boolean,
): number {
  if (lines === 1) return length;
  // Lines of odd length, but where lines are cut into vectors they begin at one.
  if (width < 2 || length % width !== 0) return length | 1;
  return made.byColumn === byColumn ? length : length + width;
}

/** Whether a uniform value follows from constants, sizes and memory that nobody writes. */
function isProven(c: Context, o: Operation): boolean {
  switch (o.kind) {
    case 'literal':
    case 'scalar':
      return true;
    case 'load':
      return !c.changing.has(o.access.buffer) && o.access.mask === undefined;
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'widenHalf':
    case 'narrowHalf':
      return c.w.isProven(o.a);
    case 'binary':
    case 'compare':
      return c.w.isProven(o.a) && c.w.isProven(o.b);
    default:
      return false;
  }
}
