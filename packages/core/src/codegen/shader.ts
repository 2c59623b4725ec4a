/**
 * Says thread programs in WGSL. Each kernel is a source part of its own: bindings are numbered per
 * kernel, and WGSL shares module scope, so every name at module scope carries the kernel's name.
 * Memory of 8 and 16 bits is seen through 32-bit words, which stores change atomically.
 */
import { refused } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';
import {
  cLikeTokens,
  type ExpressionTokens,
  printExpression,
  unwrapped,
} from './expression-text.js';
import { conditionText, entryOf } from './gpu.js';
import { widened } from './gpu-scalar.js';
import type { Language, Source } from './language.js';
import {
  binaryText,
  bitcastText,
  compareText,
  convertText,
  literalText,
  operandText,
  shaderPrelude,
  shaderType,
  unaryText,
} from './shader-scalar.js';
import type {
  Element,
  Guard,
  Operand,
  ScalarOperation,
  ThreadProgram,
  ThreadStatement,
} from './thread-program.js';
import { mapThreads } from './threads.js';

/**
 * Kernel i of a source binds its buffers at group 0, bindings 0, 1, … (the status word last), and
 * after them, where it has sizes, a uniform struct of i32. Groups are numbered x first over the
 * launched grid; those beyond the last task leave.
 */
export const shaderLanguage: Language = {
  name: 'wgsl',
  emit(kernels: readonly TileProgram[], target: Target): Source {
    const programs = kernels.map((kernel) => mapThreads(kernel, target));
    const texts = programs.map((program) => kernelText(program, target));
    return {
      language: 'wgsl',
      target: target.id,
      text: `${[...shaderPrelude, ...texts].join('\n')}\n`,
      entries: programs.map(entryOf),
    };
  },
};

/** How a memory is declared. */
interface Memory {
  readonly memory: MemoryType;
  /** Name at module scope. */
  readonly name: string;
  readonly atomic: boolean;
  /** Bits of an element that shares its word with others. */
  readonly narrow: 0 | 8 | 16;
}

interface Printer {
  readonly kernel: string;
  readonly target: Target;
  readonly memories: ReadonlyMap<string, Memory>;
  readonly uniforms: Set<ComputeType>;
  readonly lines: string[];
  indent: number;
}

const tokens: ExpressionTokens = {
  ...cLikeTokens,
  literal: (value) => `${value}i`,
  lessThan: (a, b) => `select(0i, 1i, ${a} < ${b})`,
  equalTo: (a, b) => `select(0i, 1i, ${a} == ${b})`,
};

const index = (e: Expression): string => printExpression(e, tokens);

const narrowBits: Partial<Readonly<Record<MemoryType, 8 | 16>>> = {
  i8: 8,
  u8: 8,
  i16: 16,
  u16: 16,
};

function memoriesOf(program: ThreadProgram): ReadonlyMap<string, Memory> {
  const buffers = program.buffers.map((b): [string, Memory] => {
    const narrow = narrowBits[b.memory] ?? 0;
    const atomic = b.atomic || (narrow > 0 && b.access !== 'read');
    return [b.name, { memory: b.memory, name: `${program.name}_${b.name}`, atomic, narrow }];
  });
  const shared = program.shared.map((s): [string, Memory] => {
    const name = `${program.name}_${s.name}`;
    return [s.name, { memory: wordType(s.memory), name, atomic: false, narrow: 0 }];
  });
  return new Map([...buffers, ...shared]);
}

/** Shared arrays of narrow types hold one element per word. */
const wordType = (memory: MemoryType): MemoryType => {
  const wide = widened(memory);
  return wide === 'bool' ? 'u32' : wide;
};

const elementType = (m: Memory): string => {
  const word = m.narrow > 0 ? 'u32' : shaderType(widened(m.memory));
  return m.atomic ? `atomic<${word}>` : word;
};

function kernelText(program: ThreadProgram, target: Target): string {
  if (program.indexType !== 'i32') {
    throw refused('64-bit index arithmetic', 'WGSL has no 64-bit types');
  }
  const memories = memoriesOf(program);
  const p: Printer = {
    kernel: program.name,
    target,
    memories,
    uniforms: new Set(),
    lines: [],
    indent: 1,
  };
  const declarations = program.buffers.map((b, i) => {
    const m = memories.get(b.name) as Memory;
    const access = b.access === 'read' && !m.atomic ? 'read' : 'read_write';
    const type = `array<${elementType(m)}>`;
    return `@group(0) @binding(${i}) var<storage, ${access}> ${m.name}: ${type};`;
  });
  let binding = program.buffers.length;
  const status = `${program.name}_status`;
  if (program.mayFail) {
    const at = `@group(0) @binding(${binding++})`;
    declarations.push(`${at} var<storage, read_write> ${status}: atomic<i32>;`);
  }
  if (program.sizes.length > 0) {
    const sizes = `${program.name}_sizes`;
    const members = program.sizes.map((size) => `${size}: i32`).join(', ');
    declarations.push(`struct ${sizes}_type { ${members} }`);
    declarations.push(`@group(0) @binding(${binding}) var<uniform> ${sizes}: ${sizes}_type;`);
    for (const size of program.sizes) write(p, `let ${size} = ${sizes}.${size};`);
  }
  for (const s of program.shared) {
    const m = memories.get(s.name) as Memory;
    declarations.push(`var<workgroup> ${m.name}: array<${elementType(m)}, ${s.length}>;`);
  }
  write(p, 'let lane = i32(thread);');
  const number = program.exactGrid
    ? 'block.x'
    : 'block.x + blocks.x * (block.y + blocks.y * block.z)';
  write(p, `let task = i32(${number});`);
  statements(p, program.body);
  for (const dtype of p.uniforms) {
    declarations.push(`var<workgroup> ${uniformName(p, dtype)}: ${sharedWord(dtype)};`);
  }
  const builtins = [
    '@builtin(local_invocation_index) thread: u32',
    '@builtin(workgroup_id) block: vec3<u32>',
    '@builtin(num_workgroups) blocks: vec3<u32>',
  ];
  const head = `@compute @workgroup_size(${program.group})\nfn ${program.name}(`;
  const listed = builtins.map((builtin) => `\n    ${builtin}`).join(',');
  return [...declarations, `${head}${listed}) {`, ...p.lines, '}'].join('\n');
}

const sharedWord = (dtype: ComputeType): string => (dtype === 'bool' ? 'u32' : shaderType(dtype));
const uniformName = (p: Printer, dtype: ComputeType): string => `${p.kernel}_uniform_${dtype}`;

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

function statement(p: Printer, s: ThreadStatement): void {
  switch (s.kind) {
    case 'let':
      letText(p, s.name, s.dtype, s.operation);
      return;
    case 'index': {
      const operand = typeof s.value === 'object' && 'dtype' in s.value;
      const text = operand
        ? convertText(s.value.dtype, 'i32', operandText(s.value))
        : unwrapped(index(s.value));
      write(p, `let ${s.name} = ${text};`);
      return;
    }
    case 'variable':
      write(p, `var ${s.name}: ${shaderType(s.dtype)} = ${operandText(s.initial)};`);
      return;
    case 'assign':
      write(p, `${s.name} = ${operationText(p, s.dtype, s.operation)};`);
      return;
    case 'store':
      guarded(p, s.element.guard, () => storeText(p, s.element, s.value));
      return;
    case 'atomic':
      guarded(p, s.element.guard, () => {
        const m = memoryOf(p, s.element);
        const value = convertText(s.value.dtype, widened(m.memory), operandText(s.value));
        write(p, `${atomicNames[s.name]}(&${placeText(p, s.element)}, ${value});`);
      });
      return;
    case 'for': {
      const i = s.index;
      const [start, end, step] = [index(s.start), index(s.end), index(s.step)];
      write(p, `for (var ${i} = ${unwrapped(start)}; ${i} < ${end}; ${i} += ${step}) {`);
      block(p, s.body);
      write(p, '}');
      return;
    }
    case 'while':
      write(p, 'loop {');
      block(p, s.head);
      write(p, `  if (!${operandText(s.condition)}) { break; }`);
      block(p, s.body);
      write(p, '}');
      return;
    case 'if':
      write(p, `if (${guardText(s.guard)}) {`);
      block(p, s.then);
      if (s.else.length > 0) {
        write(p, '} else {');
        block(p, s.else);
      }
      write(p, '}');
      return;
    case 'fail': {
      const call = `atomicMin(&${p.kernel}_status, ${s.code}i);`;
      write(p, `if (${operandText(s.when)}) { ${call} }`);
      return;
    }
    case 'leaveUnless':
      write(p, `if (!(${guardText(s.guard)})) { return; }`);
      return;
    case 'barrier':
      if (s.global) write(p, 'storageBarrier();');
      write(p, 'workgroupBarrier();');
      return;
    case 'exchange':
      statements(p, s.body);
  }
}

const atomicNames = {
  add: 'atomicAdd',
  minimum: 'atomicMin',
  maximum: 'atomicMax',
  exchange: 'atomicExchange',
} as const;

function memoryOf(p: Printer, element: Element): Memory {
  const memory = p.memories.get(element.memory);
  if (memory === undefined) throw refused(`memory ${element.memory}`, 'the kernel declares none');
  return memory;
}

const placeText = (p: Printer, element: Element): string =>
  `${memoryOf(p, element).name}[${unwrapped(index(element.address))}]`;

function guarded(p: Printer, guard: Guard, body: () => void): void {
  if (guard.length === 0) {
    body();
    return;
  }
  write(p, `if (${guardText(guard)}) {`);
  p.indent++;
  body();
  p.indent--;
  write(p, '}');
}

function guardText(guard: Guard): string {
  if (guard.length === 0) return 'true';
  return guard
    .map((part) => {
      if (typeof part === 'object' && 'dtype' in part) return operandText(part);
      return conditionText(part, tokens, (a, b, sign) => `${a} ${sign} ${b}`);
    })
    .join(' && ');
}

/** A narrow store clears the element's bits of its word, then sets them; others keep theirs. */
function storeText(p: Printer, element: Element, value: Operand): void {
  const m = memoryOf(p, element);
  const text = convertText(value.dtype, widened(m.memory), operandText(value));
  if (m.narrow === 0) {
    const place = placeText(p, element);
    write(p, m.atomic ? `atomicStore(&${place}, ${text});` : `${place} = ${text};`);
    return;
  }
  const mask = m.narrow === 8 ? '255u' : '65535u';
  const { word, shift } = narrowPlace(m, element);
  write(p, `atomicAnd(&${word}, ~(${mask} << ${shift}));`);
  write(p, `atomicOr(&${word}, (u32(${text}) & ${mask}) << ${shift});`);
}

function narrowPlace(m: Memory, element: Element): { word: string; shift: string } {
  const perWord = m.narrow === 8 ? 4 : 2;
  const address = index(element.address);
  return {
    word: `${m.name}[${address} / ${perWord}i]`,
    shift: `u32(${address} % ${perWord}i * ${m.narrow}i)`,
  };
}

/** An element as the compute type that its memory widens to. */
function readText(p: Printer, element: Element): string {
  const m = memoryOf(p, element);
  if (m.narrow === 0) {
    const place = placeText(p, element);
    return m.atomic ? `atomicLoad(&${place})` : place;
  }
  const { word, shift } = narrowPlace(m, element);
  const bits = m.atomic ? `atomicLoad(&${word})` : word;
  const signed = m.memory === 'i8' || m.memory === 'i16';
  return `extractBits(${signed ? `bitcast<i32>(${bits})` : bits}, ${shift}, ${m.narrow}u)`;
}

function letText(p: Printer, name: string, dtype: ComputeType, o: ScalarOperation): void {
  const type = shaderType(dtype);
  if (o.kind === 'uniform') {
    // The language asks for proof that all threads agree: one thread's value is everybody's.
    p.uniforms.add(dtype);
    const place = uniformName(p, dtype);
    const word = dtype === 'bool' ? `u32(${operandText(o.a)})` : operandText(o.a);
    write(p, `if (lane == 0i) { ${place} = ${word}; }`);
    const read = `workgroupUniformLoad(&${place})`;
    write(p, `let ${name} = ${dtype === 'bool' ? `${read} != 0u` : read};`);
    return;
  }
  if (o.kind === 'load' && o.element.guard.length > 0) {
    write(p, `var ${name}: ${type} = ${literalText(dtype, o.other)};`);
    guarded(p, o.element.guard, () => {
      write(p, `${name} = ${operationText(p, dtype, o)};`);
    });
    return;
  }
  write(p, `let ${name}: ${type} = ${operationText(p, dtype, o)};`);
}

function operationText(p: Printer, dtype: ComputeType, o: ScalarOperation): string {
  switch (o.kind) {
    case 'copy':
    case 'uniform':
      return operandText(o.a);
    case 'index':
      return convertText('i32', dtype, unwrapped(index(o.expression)));
    case 'load':
      return convertText(widened(memoryOf(p, o.element).memory), dtype, readText(p, o.element));
    case 'unary':
      return unaryText(dtype, o.name, operandText(o.a), p.target);
    case 'binary':
      return binaryText(dtype, o.name, operandText(o.a), operandText(o.b), p.target);
    case 'compare':
      return compareText(o.name, operandText(o.a), operandText(o.b));
    case 'select':
      return `select(${operandText(o.b)}, ${operandText(o.a)}, ${operandText(o.condition)})`;
    case 'multiplyAdd': {
      const [a, b, c] = [operandText(o.a), operandText(o.b), operandText(o.c)];
      return dtype === 'f32' && p.target.fusedMultiplyAdd
        ? `fma(${a}, ${b}, ${c})`
        : `${a} * ${b} + ${c}`;
    }
    case 'convert':
      return convertText(o.a.dtype, dtype, operandText(o.a));
    case 'bitcast':
      return bitcastText(o.a.dtype, dtype, operandText(o.a));
  }
}
