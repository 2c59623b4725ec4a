/**
 * C with vector extensions, for gcc and clang: a tile is a set of vector variables, a kernel a
 * function over a range of tasks. Takes tile programs for a vector target, gives one source.
 *
 * Entry: void NAME(void *const *buffers, const i64 *sizes, char *scratch, i64 begin, i64 end),
 * tasks numbered linearly, last grid axis fastest; the status word is the last buffer.
 */
import { refused } from '../base/errors.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { MemoryType, Target } from '../base/target.js';
import { countUses } from '../kernel/dead-code.js';
import type { Statement, TileProgram } from '../kernel/tile.js';
import * as functions from './c-functions.js';
import { bufferName, extentName, indexName, indexText, type Kernel } from './c-kernel.js';
import { matrixStateOf } from './c-matrix.js';
import { narrowValues } from './c-narrow.js';
import { createPrelude, type Prelude, preludeText } from './c-prelude.js';
import { providePrinter, separator } from './c-source.js';
import { printStatements } from './c-statement.js';
import { tokensOf } from './c-tokens.js';
import { checkedName } from './expression-text.js';
import type { Entry, Language, Source } from './language.js';

export const cLanguage: Language = providePrinter(emit);

/** Alignment of every scratch array, in bytes. */
const scratchAlignment = 64;

function emit(kernels: readonly TileProgram[], target: Target): Source {
  const all = kernels.map((program) => printed(program, target));
  const prelude = preludeText(all.map(({ declared }) => declared));
  return {
    language: 'c',
    target: target.id,
    text: [prelude, ...all.map(({ text }) => text)].join(separator),
    entries: kernels.map(entryOf),
  };
}

/** A kernel's text and what it needs above it. */
interface Printed {
  readonly target: Target;
  readonly text: string;
  readonly declared: ReadonlyMap<string, string>;
}

const known = new WeakMap<TileProgram, Printed>();

/** Kernels are printed to see whether they fit, and again with the whole program. */
function printed(program: TileProgram, target: Target): Printed {
  const before = known.get(program);
  if (before?.target === target) return before;
  const prelude = createPrelude(tokensOf(target.id));
  const text = printKernel(program, target, prelude);
  const made = { target, text, declared: prelude.declared };
  known.set(program, made);
  return made;
}

function scratchOffsets(program: TileProgram): readonly number[] {
  const offsets = [0];
  for (const { memory, length } of program.scratch) {
    const bytes = bytesOfMemory[memory] * length;
    const rounded = Math.ceil(bytes / scratchAlignment) * scratchAlignment;
    offsets.push((offsets.at(-1) as number) + rounded);
  }
  return offsets;
}

function entryOf(program: TileProgram): Entry {
  const buffers = program.buffers.map(({ name, access }) => ({ name, write: access !== 'read' }));
  return {
    name: program.name,
    group: [1, 1, 1],
    sharedBytes: 0,
    scratchBytes: scratchOffsets(program).at(-1) as number,
    buffers: program.mayFail ? [...buffers, { name: 'status', write: true }] : buffers,
    sizes: program.sizes,
    indexType: program.indexType,
    axes: program.grid.length,
  };
}

function printKernel(program: TileProgram, target: Target, prelude: Prelude): string {
  if (program.contract !== 1) throw refused('kernel', `contract ${program.contract} is unknown`);
  const body: string[] = [];
  const memory = new Map<string, MemoryType>([
    ...program.buffers.map((b) => [b.name, b.memory] as const),
    ...program.scratch.map((s) => [s.name, s.memory] as const),
  ]);
  const uses = countUses(program.body);
  const matrix = matrixStateOf(program.body, uses);
  const kernel: Kernel = {
    program,
    prelude,
    mask: hasWideTile(program.body) ? 'i64' : 'i32',
    fused: target.fusedMultiplyAdd,
    math: target.math,
    values: new Map(),
    variables: new Map(),
    uses,
    narrow: narrowValues(program),
    memory,
    ...(matrix === undefined ? {} : { matrix }),
    line: (text) => body.push(text),
  };
  printStatements(kernel, program.body);
  const end = streams(program.body) ? [`${functions.streamEnd(prelude)}();`] : [];
  return indent([
    `ENTRY void ${checkedName(program.name)}(void *const *buffers, const i64 *sizes,`,
    '    char *scratch, i64 begin, i64 end) {',
    '(void)buffers, (void)sizes, (void)scratch;',
    'if (begin >= end) return;',
    ...parameters(program),
    ...(matrix?.machine.begin ?? []),
    ...gridStart(program),
    'for (i64 task = begin; task < end; ++task) {',
    ...body,
    ...gridStep(program),
    '}',
    ...end,
    ...(matrix?.machine.end ?? []),
    '}',
  ]);
}

function parameters(program: TileProgram): readonly string[] {
  const buffers = program.buffers.map(({ name, memory, access }, i) => {
    const type = access === 'read' ? `const ${memory}` : memory;
    return `${type} *const ${bufferName(name)} = buffers[${i}];`;
  });
  const status = program.mayFail ? [`i32 *const status = buffers[${buffers.length}];`] : [];
  const sizes = program.sizes.map((name, i) => `const i64 ${indexName(name)} = sizes[${i}];`);
  const offsets = scratchOffsets(program);
  const scratch = program.scratch.map(
    ({ name, memory }, i) =>
      `${memory} *const ${bufferName(name)} = (${memory} *)(scratch + ${offsets[i]});`,
  );
  return [...buffers, ...status, ...sizes, ...scratch];
}

/** Grid coordinates of the first task; later ones are counted up, which needs no division. */
function gridStart(program: TileProgram): readonly string[] {
  const lines = ['i64 rest = begin;'];
  for (const { name, extent } of [...program.grid].reverse()) {
    const index = indexName(name);
    lines.push(`const i64 ${extentName(name)} = ${indexText(extent)};`);
    lines.push(`i64 ${index} = rest % ${extentName(name)};`);
    lines.push(`rest /= ${extentName(name)};`);
  }
  return lines;
}

function gridStep(program: TileProgram): readonly string[] {
  let lines: readonly string[] = [];
  for (const [axis, { name }] of program.grid.entries()) {
    const index = indexName(name);
    const wrapped = axis === 0 ? [] : [`${index} = 0;`, ...lines];
    lines = [`if (++${index} == ${extentName(name)}) {`, ...wrapped, '}'];
  }
  return lines;
}

/** Whether any tile has elements of 64 bits, which then give masks their width. */
function hasWideTile(statements: readonly Statement[]): boolean {
  return someStatement(statements, (s) => {
    if (s.kind !== 'let' && s.kind !== 'variable') return false;
    return s.type.shape.length > 0 && ['f64', 'i64', 'u64'].includes(s.type.dtype);
  });
}

const streams = (statements: readonly Statement[]): boolean =>
  someStatement(statements, (s) => s.kind === 'store' && s.streaming !== undefined);

function someStatement(
  statements: readonly Statement[],
  test: (statement: Statement) => boolean,
): boolean {
  return statements.some((s) => {
    if (test(s)) return true;
    if (s.kind === 'for') return someStatement(s.body, test);
    if (s.kind === 'while') return someStatement([...s.head, ...s.body], test);
    return s.kind === 'if' && someStatement([...s.then, ...s.else], test);
  });
}

/** Indents by braces; preprocessor lines stay at the margin. */
function indent(lines: readonly string[]): string {
  let depth = 0;
  const out = lines.map((line) => {
    if (line.startsWith('}')) depth--;
    const text = line.startsWith('#') ? line : `${'  '.repeat(Math.max(depth, 0))}${line}`;
    if (line.endsWith('{')) depth++;
    return text;
  });
  return `${out.join('\n')}\n`;
}
