/**
 * Tile programs for vector targets in C for GPUs with vectors: one thread per task, tiles in
 * vector variables, no barriers. Takes a dialect that has words for vectors; gives one source.
 */
import { tooLarge } from '../base/errors.js';
import { floorDivide, lessThan, modulo, product, variable } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Target } from '../base/target.js';
import type { Statement, TileProgram } from '../kernel/tile.js';
import { printExpression, unwrapped } from './expression-text.js';
import type { GpuDialect, VectorWords } from './gpu-dialects.table.js';
import { checkType, indexTokens } from './gpu-index.js';
import { type ScalarContext, widened } from './gpu-scalar.js';
import type { Entry, Source } from './language.js';
import { taskName } from './thread-program.js';
import { bodiesOf } from './thread-survey.js';
import { privateBytes, wideGrid } from './threads.js';
import type { VectorKernel, VectorMemory } from './vector-kernel.js';
import { printStatements } from './vector-statement.js';

/** The words of the dialect, where the target wants whole vectors and the dialect has them. */
export const vectorWordsFor = (dialect: GpuDialect, target: Target): VectorWords | undefined =>
  target.execution === 'vector' && target.vectorBytes > 0 ? dialect.vectors : undefined;

export function vectorSource(
  name: string,
  dialect: GpuDialect,
  words: VectorWords,
  kernels: readonly TileProgram[],
  target: Target,
): Source {
  const helpers = new Map<string, string>();
  const context = { name, dialect, target, helpers };
  const texts = kernels.map((kernel) => kernelText(kernel, context, words));
  const code = [...helpers.values(), ...texts];
  const head = [...dialect.header];
  const double = new RegExp(`\\b${dialect.types.f64}`);
  if (dialect.doubles !== '' && code.some((text) => double.test(text))) head.push(dialect.doubles);
  return {
    language: name,
    target: target.id,
    text: `${[...head, ...code].join('\n')}\n`,
    entries: kernels.map(entryOf),
  };
}

function entryOf(program: TileProgram): Entry {
  const buffers = program.buffers.map(({ name, access }) => ({ name, write: access !== 'read' }));
  return {
    name: program.name,
    group: [1, 1, 1],
    sharedBytes: 0,
    scratchBytes: 0,
    buffers: program.mayFail ? [...buffers, { name: 'status', write: true }] : buffers,
    sizes: program.sizes,
    indexType: program.indexType,
    axes: program.grid.length,
  };
}

function kernelText(program: TileProgram, context: ScalarContext, words: VectorWords): string {
  const { dialect, target } = context;
  const lines: string[] = [];
  let indent = 1;
  const memory = new Map<string, VectorMemory>([
    ...program.buffers.map((b) => [b.name, { element: b.memory, own: false }] as const),
    ...program.scratch.map((s) => [s.name, { element: s.memory, own: true }] as const),
  ]);
  const kernel: VectorKernel = {
    ...context,
    program,
    words,
    tokens: indexTokens(context, program.indexType),
    mask: hasWideTile(program.body) ? 'i64' : 'i32',
    values: new Map(),
    variables: new Map(),
    memory,
    line(text) {
      if (text.startsWith('}')) indent--;
      lines.push('  '.repeat(indent) + text);
      if (text.endsWith('{')) indent++;
    },
  };
  for (const { element } of memory.values()) checkType(target, widened(element));
  scratchLines(kernel);
  taskLines(kernel);
  printStatements(kernel, program.body);
  if (streams(program.body)) kernel.line(words.fence);
  const head = dialect.kernel.replace('{group}', '1');
  return `${head} ${program.name}(${parametersText(kernel)}) {\n${lines.join('\n')}\n}`;
}

function parametersText({ program, dialect }: VectorKernel): string {
  const { types, pointer, restrict } = dialect;
  const parameters = program.buffers.map(({ name, memory, access }) => {
    const element = `${pointer}${types[memory]} *`;
    return access === 'read' ? `const ${element}${restrict} ${name}` : `${element}${name}`;
  });
  if (program.mayFail) parameters.push(`${pointer}${types.i32} *status`);
  for (const size of program.sizes) parameters.push(`${types[program.indexType]} ${size}`);
  return parameters.map((parameter) => `\n    ${parameter}`).join(',');
}

/** The task's own arrays. */
function scratchLines(k: VectorKernel): void {
  const { scratch } = k.program;
  const bytes = scratch.reduce((sum, s) => sum + bytesOfMemory[s.memory] * s.length, 0);
  if (bytes > privateBytes) throw tooLarge('memory of a task', bytes, privateBytes);
  for (const { name, memory, length } of scratch) {
    k.line(`${k.dialect.types[memory]} ${name}[${length}];`);
  }
}

/** Grid coordinates from the number of the task; groups beyond the last one leave. */
function taskLines(k: VectorKernel): void {
  const { program, dialect, target } = k;
  const type = dialect.types[program.indexType];
  const [x, y, z] = dialect.block;
  const [across, down] = dialect.blocks;
  const text = (e: Parameters<typeof printExpression>[0]): string => printExpression(e, k.tokens);
  if (program.grid.length === 0 && target.maxGrid[0] >= wideGrid) return;
  if (target.maxGrid[0] >= wideGrid) k.line(`const ${type} ${taskName} = (${type})${x};`);
  else {
    k.line(`const ${type} group_row = (${type})(${y} + ${down} * ${z});`);
    k.line(`const ${type} ${taskName} = (${type})${x} + (${type})${across} * group_row;`);
    const total = product(program.grid.map((axis) => axis.extent));
    k.line(`if (!${text(lessThan(variable(taskName), total))}) return;`);
  }
  let rest = variable(taskName) as ReturnType<typeof product>;
  for (const [i, { name, extent }] of [...program.grid.entries()].toReversed()) {
    const value = i === 0 ? rest : modulo(rest, extent);
    k.line(`const ${type} ${name} = ${unwrapped(text(value))};`);
    rest = floorDivide(rest, extent);
  }
}

/** Whether any tile has elements of 64 bits, which then give masks their width. */
const hasWideTile = (body: readonly Statement[]): boolean =>
  someStatement(body, (s) => {
    if (s.kind !== 'let' && s.kind !== 'variable') return false;
    return s.type.shape.length > 0 && ['f64', 'i64', 'u64'].includes(s.type.dtype);
  });

const streams = (body: readonly Statement[]): boolean =>
  someStatement(body, (s) => s.kind === 'store' && (s.streaming ?? 0) !== 0);

const someStatement = (body: readonly Statement[], test: (s: Statement) => boolean): boolean =>
  body.some((s) => test(s) || bodiesOf(s).some((inner) => someStatement(inner, test)));
