/**
 * Says thread programs in C for GPUs: one printer, one row of tokens per dialect (see
 * `gpu-dialects.table.ts`). No templates, no name mangling, no vendor header, no inline assembly,
 * no assumption about how many threads run in step.
 */
import { refused } from '../base/errors.js';
import type { Atom, Expression } from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';
import { type ExpressionTokens, printExpression, unwrapped } from './expression-text.js';
import { type GpuDialect, type GpuDialectName, gpuDialects } from './gpu-dialects.table.js';
import { checkType, indexTokens } from './gpu-index.js';
import { matrixCall } from './gpu-matrix.js';
import {
  binaryText,
  bitcastText,
  compareText,
  convertText,
  literalText,
  multiplyAddText,
  operandText,
  type ScalarContext,
  unaryText,
  widened,
} from './gpu-scalar.js';
import { vectorLoads, vectorStore } from './gpu-vector.js';
import type { Entry, Language, Source } from './language.js';
import type {
  Element,
  Guard,
  ScalarOperation,
  ThreadProgram,
  ThreadStatement,
} from './thread-program.js';
import { mapThreads } from './threads.js';
import { vectorSource, vectorWordsFor } from './vectors.js';

/**
 * A dialect as a language: a row of the table, or tokens of one's own. Kernels take pointers to
 * the buffers (the status word last), then the sizes as integers of the entry's index type. Where
 * target.maxGrid[0] is 2³¹ − 1 or more, a launch has exactly as many groups as tasks, along x. Else
 * it has at least as many over up to three axes in any shape: a kernel numbers its groups x first,
 * and those without a task leave.
 */
export function gpuLanguage(
  row: GpuDialectName | { readonly name: string; readonly tokens: GpuDialect },
): Language {
  const name = typeof row === 'string' ? row : row.name;
  const dialect: GpuDialect = typeof row === 'string' ? gpuDialects[row] : row.tokens;
  return {
    name,
    emit(kernels: readonly TileProgram[], target: Target): Source {
      const vectors = vectorWordsFor(dialect, target);
      if (vectors !== undefined) return vectorSource(name, dialect, vectors, kernels, target);
      const programs = kernels.map((kernel) => mapThreads(kernel, target));
      const helpers = new Map<string, string>();
      const context = { name, dialect, target, helpers };
      const texts = programs.map((program) => kernelText(program, context));
      const head = [...dialect.header];
      if (dialect.doubles !== '' && programs.some(usesDoubles)) head.push(dialect.doubles);
      const lines = [...head, ...helpers.values(), ...texts];
      return {
        language: name,
        target: target.id,
        text: `${lines.join('\n')}\n`,
        entries: programs.map(entryOf),
      };
    },
  };
}

/** What a launch must know of a thread program; the status word is the last buffer. */
export function entryOf(program: ThreadProgram): Entry {
  const buffers = program.buffers.map((b) => ({ name: b.name, write: b.access !== 'read' }));
  return {
    name: program.name,
    group: [program.group, 1, 1],
    sharedBytes: program.sharedBytes,
    scratchBytes: 0,
    buffers: program.mayFail ? [...buffers, { name: 'status', write: true }] : buffers,
    sizes: program.sizes,
    indexType: program.indexType,
    axes: program.grid.length,
  };
}

interface Printer extends ScalarContext {
  readonly tokens: ExpressionTokens;
  readonly memory: ReadonlyMap<string, MemoryType>;
  readonly indexType: 'i32' | 'i64';
  readonly lines: string[];
  indent: number;
}

function usesDoubles(program: ThreadProgram): boolean {
  const inside = (list: readonly ThreadStatement[]): boolean =>
    list.some((s) => {
      if ('dtype' in s) return s.dtype === 'f64';
      if (s.kind === 'while') return inside(s.head) || inside(s.body);
      if (s.kind === 'if') return inside(s.then) || inside(s.else);
      return 'body' in s && inside(s.body);
    });
  return program.buffers.some((b) => b.memory === 'f64') || inside(program.body);
}

function kernelText(program: ThreadProgram, context: ScalarContext): string {
  const { dialect, target } = context;
  const { indexType } = program;
  const p: Printer = {
    ...context,
    tokens: indexTokens(context, indexType),
    memory: new Map([...program.buffers, ...program.shared].map((m) => [m.name, m.memory])),
    indexType,
    lines: [],
    indent: 1,
  };
  const { types } = dialect;
  const parameters = program.buffers.map((b) => {
    checkType(target, widened(b.memory));
    const element = `${dialect.pointer}${types[b.memory]} *`;
    return b.access === 'read'
      ? `const ${element}${dialect.restrict} ${b.name}`
      : `${element}${b.name}`;
  });
  if (program.mayFail) parameters.push(`${dialect.pointer}int *status`);
  for (const size of program.sizes) parameters.push(`${types[indexType]} ${size}`);
  for (const s of program.shared) {
    const aligned = program.accessBytes > 0 && dialect.aligned !== '' ? ` ${dialect.aligned}` : '';
    write(p, `${dialect.shared} ${types[s.memory]} ${s.name}[${s.length}]${aligned};`);
  }
  const integer = types[indexType];
  const [x, y, z] = dialect.block;
  const [across, down] = dialect.blocks;
  write(p, `const ${integer} lane = (${integer})${dialect.thread};`);
  if (program.exactGrid) write(p, `const ${integer} task = (${integer})${x};`);
  else {
    write(p, `const ${integer} group_row = (${integer})(${y} + ${down} * ${z});`);
    write(p, `const ${integer} task = (${integer})${x} + (${integer})${across} * group_row;`);
  }
  statements(p, program.body);
  const head = dialect.kernel.replace('{group}', String(program.group));
  const listed = parameters.map((parameter) => `\n    ${parameter}`).join(',');
  return `${head} ${program.name}(${listed}) {\n${p.lines.join('\n')}\n}`;
}

function write(p: Printer, line: string): void {
  p.lines.push('  '.repeat(p.indent) + line);
}

function block(p: Printer, body: readonly ThreadStatement[]): void {
  p.indent++;
  statements(p, body);
  p.indent--;
}

function statements(p: Printer, list: readonly ThreadStatement[]): void {
  for (const s of list) statement(p, s);
}

const index = (p: Printer, e: Expression): string => printExpression(e, p.tokens);

function statement(p: Printer, s: ThreadStatement): void {
  const { types } = p.dialect;
  switch (s.kind) {
    case 'let':
      checkType(p.target, s.dtype);
      write(p, `const ${types[s.dtype]} ${s.name} = ${operationText(p, s.dtype, s.operation)};`);
      return;
    case 'index': {
      const text =
        typeof s.value === 'object' && 'dtype' in s.value
          ? convertText(p, s.value.dtype, p.indexType, operandText(p, s.value))
          : unwrapped(index(p, s.value));
      write(p, `const ${types[p.indexType]} ${s.name} = ${text};`);
      return;
    }
    case 'variable':
      checkType(p.target, s.dtype);
      write(p, `${types[s.dtype]} ${s.name} = ${operandText(p, s.initial)};`);
      return;
    case 'assign':
      write(p, `${s.name} = ${operationText(p, s.dtype, s.operation)};`);
      return;
    case 'store': {
      const own = widened(memoryOf(p, s.element.memory));
      const value = convertText(p, s.value.dtype, own, operandText(p, s.value));
      const narrow =
        own === memoryOf(p, s.element.memory) ? '' : `(${types[memoryOf(p, s.element.memory)]})`;
      write(p, `${when(p, s.element.guard)}${placeText(p, s.element)} = ${narrow}${value};`);
      return;
    }
    case 'loadVector': {
      checkType(p.target, s.dtype);
      const guard = s.element.guard.length === 0 ? undefined : guardText(p, s.element.guard);
      const memory = memoryOf(p, s.element.memory);
      for (const line of vectorLoads(p, s, memory, placeText(p, s.element), guard)) write(p, line);
      return;
    }
    case 'storeVector': {
      const memory = memoryOf(p, s.element.memory);
      const values = s.values.map((value) =>
        convertText(p, value.dtype, widened(memory), operandText(p, value)),
      );
      const text = vectorStore(p, placeText(p, s.element), memory, values);
      write(p, `${when(p, s.element.guard)}${text}`);
      return;
    }
    case 'atomic': {
      const own = widened(memoryOf(p, s.element.memory));
      const value = convertText(p, s.value.dtype, own, operandText(p, s.value));
      const call = `${p.dialect.atomics[s.name]}(&${placeText(p, s.element)}, ${value});`;
      write(p, `${when(p, s.element.guard)}${call}`);
      return;
    }
    case 'for': {
      if (s.unroll > 1) write(p, p.dialect.unroll.replace('{count}', String(s.unroll)));
      const start = `${types[p.indexType]} ${s.index} = ${unwrapped(index(p, s.start))}`;
      write(
        p,
        `for (${start}; ${s.index} < ${index(p, s.end)}; ${s.index} += ${index(p, s.step)}) {`,
      );
      block(p, s.body);
      write(p, '}');
      return;
    }
    case 'while':
      write(p, 'for (;;) {');
      block(p, s.head);
      write(p, `  if (!${operandText(p, s.condition)}) break;`);
      block(p, s.body);
      write(p, '}');
      return;
    case 'if':
      write(p, `if (${guardText(p, s.guard)}) {`);
      block(p, s.then);
      if (s.else.length > 0) {
        write(p, '} else {');
        block(p, s.else);
      }
      write(p, '}');
      return;
    case 'matrix':
      write(p, matrixCall(p, s));
      return;
    case 'fail':
      write(p, `if (${operandText(p, s.when)}) ${p.dialect.atomics.minimum}(status, ${s.code});`);
      return;
    case 'leaveUnless':
      write(p, `if (!(${guardText(p, s.guard)})) return;`);
      return;
    case 'barrier':
      write(p, s.global ? p.dialect.globalBarrier : p.dialect.barrier);
      return;
    case 'exchange':
      statements(p, s.body);
  }
}

function memoryOf(p: Printer, name: string): MemoryType {
  const memory = p.memory.get(name);
  if (memory === undefined) throw refused(`memory ${name}`, 'the kernel declares none');
  return memory;
}

const placeText = (p: Printer, element: Element): string =>
  `${element.memory}[${unwrapped(index(p, element.address))}]`;

const when = (p: Printer, guard: Guard): string =>
  guard.length === 0 ? '' : `if (${guardText(p, guard)}) `;

function guardText(p: Printer, guard: Guard): string {
  if (guard.length === 0) return 'true';
  return guard
    .map((part) => {
      if (typeof part === 'object' && 'dtype' in part) return operandText(p, part);
      return conditionText(part, p.tokens, (a, b, sign) => `${a} ${sign} ${b}`);
    })
    .join(' && ');
}

/** Text of a truth: a comparison says so directly, any other expression by being unlike 0. */
export function conditionText(
  e: Expression,
  tokens: ExpressionTokens,
  compare: (a: string, b: string, sign: '<' | '==' | '!=') => string,
): string {
  const atom = onlyAtom(e);
  if (atom?.kind === 'lessThan' || atom?.kind === 'equalTo') {
    const [a, b] = [printExpression(atom.left, tokens), printExpression(atom.right, tokens)];
    return compare(a, b, atom.kind === 'lessThan' ? '<' : '==');
  }
  return compare(printExpression(e, tokens), tokens.literal(0), '!=');
}

function onlyAtom(e: Expression): Atom | undefined {
  if (typeof e === 'number' || e.constant !== 0 || e.terms.length !== 1) return undefined;
  const [term] = e.terms;
  return term?.coefficient === 1 && term.atoms.length === 1 ? term.atoms[0] : undefined;
}

function operationText(p: Printer, dtype: ComputeType, o: ScalarOperation): string {
  switch (o.kind) {
    case 'copy':
    case 'uniform':
      return operandText(p, o.a);
    case 'index':
      return convertText(p, p.indexType, dtype, index(p, o.expression));
    case 'load': {
      const own = widened(memoryOf(p, o.element.memory));
      const text = convertText(p, own, dtype, placeText(p, o.element));
      if (o.element.guard.length === 0) return text;
      return `${guardText(p, o.element.guard)} ? ${text} : ${literalText(p, dtype, o.other)}`;
    }
    case 'unary':
      return unaryText(p, dtype, o.name, operandText(p, o.a));
    case 'binary':
      return binaryText(p, dtype, o.name, operandText(p, o.a), operandText(p, o.b));
    case 'compare':
      return compareText(o.name, operandText(p, o.a), operandText(p, o.b));
    case 'select': {
      const [a, b] = [operandText(p, o.a), operandText(p, o.b)];
      return `${operandText(p, o.condition)} ? ${a} : ${b}`;
    }
    case 'multiplyAdd': {
      const [a, b, sum] = [operandText(p, o.a), operandText(p, o.b), operandText(p, o.c)];
      return multiplyAddText(p, dtype, a, b, sum);
    }
    case 'convert':
      return convertText(p, o.a.dtype, dtype, operandText(p, o.a));
    case 'bitcast':
      return bitcastText(p, o.a.dtype, dtype, operandText(p, o.a));
    case 'widenHalf':
    case 'narrowHalf':
    case 'bundle':
      throw refused(`operation ${o.kind}`, 'no dialect of C for GPUs says it');
  }
}
