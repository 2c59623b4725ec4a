/** Statements of thread programs in WGSL, written line by line into a printer. */
import { refused } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { ComputeType } from '../base/target.js';
import { unwrapped } from './expression-text.js';
import { conditionText } from './gpu.js';
import { widened } from './gpu-scalar.js';
import {
  indexText,
  indexTokens,
  memoryOf,
  placeText,
  readText,
  type ShaderMemories,
  storeTexts,
} from './shader-memory.js';
import {
  binaryText,
  bitcastText,
  bundleText,
  compareText,
  convertText,
  literalText,
  multiplyAddText,
  narrowHalfText,
  operandText,
  type ShaderContext,
  shaderType,
  unaryText,
  widenHalfText,
} from './shader-scalar.js';
import {
  elementwise,
  type Guard,
  type Operand,
  type ScalarOperation,
  type ThreadStatement,
} from './thread-program.js';

export interface ShaderPrinter extends ShaderContext {
  readonly kernel: string;
  readonly memories: ShaderMemories;
  /** Types of values that pass through one thread, so that all provably agree. */
  readonly uniforms: Set<ComputeType>;
  readonly lines: string[];
  indent: number;
}

export const uniformName = (p: ShaderPrinter, dtype: ComputeType): string =>
  `${p.kernel}_uniform_${dtype}`;

export function writeLine(p: ShaderPrinter, line: string): void {
  p.lines.push('  '.repeat(p.indent) + line);
}

function block(p: ShaderPrinter, body: readonly ThreadStatement[]): void {
  p.indent++;
  writeStatements(p, body);
  p.indent--;
}

export function writeStatements(p: ShaderPrinter, list: readonly ThreadStatement[]): void {
  for (const s of list) writeStatement(p, s);
}

const atomicNames = {
  add: 'atomicAdd',
  minimum: 'atomicMin',
  maximum: 'atomicMax',
  exchange: 'atomicExchange',
} as const;

function writeStatement(p: ShaderPrinter, s: ThreadStatement): void {
  switch (s.kind) {
    case 'let':
      writeLet(p, s.name, s.dtype, s.operation);
      return;
    case 'index': {
      const operand = typeof s.value === 'object' && 'dtype' in s.value;
      const text = operand
        ? convertText(p, s.value.dtype, 'i32', operandText(s.value))
        : unwrapped(indexText(s.value));
      writeLine(p, `let ${s.name} = ${text};`);
      return;
    }
    case 'variable':
      writeLine(p, `var ${s.name}: ${shaderType(s.dtype)} = ${operandText(s.initial)};`);
      return;
    case 'assign':
      writeLine(p, `${s.name} = ${operationText(p, s.dtype, s.name, s.operation)};`);
      return;
    case 'store':
      guarded(p, s.element.guard, () => {
        const m = memoryOf(p.memories, s.element);
        const value = convertText(p, s.value.dtype, widened(m.memory), operandText(s.value));
        for (const line of storeTexts(m, s.element, value)) writeLine(p, line);
      });
      return;
    case 'loadVector':
    case 'storeVector':
      writeStatements(p, elementwise(s));
      return;
    case 'matrix':
      throw refused(`matrix unit ${s.unit}`, 'WGSL has no words for it');
    case 'atomic':
      guarded(p, s.element.guard, () => {
        const m = memoryOf(p.memories, s.element);
        const value = convertText(p, s.value.dtype, widened(m.memory), operandText(s.value));
        writeLine(p, `${atomicNames[s.name]}(&${placeText(m, s.element)}, ${value});`);
      });
      return;
    case 'for': {
      const i = s.index;
      const [start, end, step] = [s.start, s.end, s.step].map(indexText) as [
        string,
        string,
        string,
      ];
      writeLine(p, `for (var ${i} = ${unwrapped(start)}; ${i} < ${end}; ${i} += ${step}) {`);
      block(p, s.body);
      writeLine(p, '}');
      return;
    }
    case 'while':
      writeLine(p, 'loop {');
      block(p, s.head);
      writeLine(p, `  if (!${operandText(s.condition)}) { break; }`);
      block(p, s.body);
      writeLine(p, '}');
      return;
    case 'if':
      writeLine(p, `if (${guardText(s.guard)}) {`);
      block(p, s.then);
      if (s.else.length > 0) {
        writeLine(p, '} else {');
        block(p, s.else);
      }
      writeLine(p, '}');
      return;
    case 'fail': {
      const call = `atomicMin(&${p.kernel}_status, ${s.code}i);`;
      writeLine(p, `if (${operandText(s.when)}) { ${call} }`);
      return;
    }
    case 'leaveUnless':
      writeLine(p, `if (!(${guardText(s.guard)})) { return; }`);
      return;
    case 'barrier':
      if (s.global) writeLine(p, 'storageBarrier();');
      writeLine(p, 'workgroupBarrier();');
      return;
    case 'exchange':
      writeStatements(p, s.body);
  }
}

function guarded(p: ShaderPrinter, guard: Guard, body: () => void): void {
  if (guard.length === 0) {
    body();
    return;
  }
  writeLine(p, `if (${guardText(guard)}) {`);
  p.indent++;
  body();
  p.indent--;
  writeLine(p, '}');
}

function guardText(guard: Guard): string {
  if (guard.length === 0) return 'true';
  return guard
    .map((part: Expression | Operand) => {
      if (typeof part === 'object' && 'dtype' in part) return operandText(part);
      return conditionText(part, indexTokens, (a, b, sign) => `${a} ${sign} ${b}`);
    })
    .join(' && ');
}

function writeLet(p: ShaderPrinter, name: string, dtype: ComputeType, o: ScalarOperation): void {
  const type = shaderType(dtype);
  if (o.kind === 'uniform') {
    // The language asks for proof that all threads agree: one thread's value is everybody's.
    p.uniforms.add(dtype);
    const place = uniformName(p, dtype);
    const word = dtype === 'bool' ? `u32(${operandText(o.a)})` : operandText(o.a);
    writeLine(p, `if (lane == 0i) { ${place} = ${word}; }`);
    const read = `workgroupUniformLoad(&${place})`;
    writeLine(p, `let ${name} = ${dtype === 'bool' ? `${read} != 0u` : read};`);
    return;
  }
  if (o.kind === 'load' && o.element.guard.length > 0) {
    writeLine(p, `var ${name}: ${type} = ${literalText(dtype, o.other)};`);
    guarded(p, o.element.guard, () => {
      writeLine(p, `${name} = ${operationText(p, dtype, name, o)};`);
    });
    return;
  }
  writeLine(p, `let ${name}: ${type} = ${operationText(p, dtype, name, o)};`);
}

/** A literal under a name of its own, so that the compiler does not compute with it. */
function hidden(p: ShaderPrinter, name: string, operand: Operand): string {
  const text = `${name}_c${p.lines.length}`;
  writeLine(p, `let ${text} = ${operandText(operand)};`);
  return text;
}

/** Texts of operands; literals alone would be computed at once, where overflow is an error. */
function operandTexts<Texts extends readonly string[]>(
  p: ShaderPrinter,
  name: string,
  operands: { readonly [Key in keyof Texts]: Operand },
): Texts {
  const list: readonly Operand[] = operands;
  const isBare = list.slice(0, 2).every((operand) => operand.kind === 'literal');
  const texts = list.map((o, i) => (isBare && i === 0 ? hidden(p, name, o) : operandText(o)));
  return texts as readonly string[] as Texts;
}

function operationText(
  p: ShaderPrinter,
  dtype: ComputeType,
  name: string,
  o: ScalarOperation,
): string {
  switch (o.kind) {
    case 'copy':
    case 'uniform':
      return operandText(o.a);
    case 'index':
      return convertText(p, 'i32', dtype, unwrapped(indexText(o.expression)));
    case 'load': {
      const m = memoryOf(p.memories, o.element);
      return convertText(p, widened(m.memory), dtype, readText(m, o.element));
    }
    case 'unary': {
      const [a] = operandTexts<[string]>(p, name, [o.a]);
      return unaryText(p, dtype, o.name, a);
    }
    case 'binary': {
      const [a, b] = operandTexts<[string, string]>(p, name, [o.a, o.b]);
      const isZero = o.b.kind === 'literal' && Number(o.b.value) === 0;
      // A division by a literal zero is an error even where it is never reached.
      const divides = o.name === 'divide' || o.name === 'remainder';
      return binaryText(p, dtype, o.name, a, divides && isZero ? hidden(p, name, o.b) : b);
    }
    case 'compare': {
      const [a, b] = [operandText(o.a), operandText(o.b)];
      return compareText(p, o.a.dtype, o.name, a, b);
    }
    case 'select':
      return `select(${operandText(o.b)}, ${operandText(o.a)}, ${operandText(o.condition)})`;
    case 'multiplyAdd':
      return multiplyAddText(
        p,
        dtype,
        operandTexts<[string, string, string]>(p, name, [o.a, o.b, o.c]),
      );
    case 'convert': {
      const [a] = operandTexts<[string]>(p, name, [o.a]);
      return convertText(p, o.a.dtype, dtype, a);
    }
    case 'bitcast': {
      const [a] = operandTexts<[string]>(p, name, [o.a]);
      return bitcastText(o.a.dtype, dtype, a);
    }
    case 'widenHalf':
    case 'narrowHalf': {
      const [a] = operandTexts<[string]>(p, name, [o.a]);
      return o.kind === 'widenHalf' ? widenHalfText(a) : narrowHalfText(a);
    }
    case 'bundle':
      return bundleText(dtype, o.name, operandText(o.a));
  }
}
