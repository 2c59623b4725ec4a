/**
 * A machine of threads for tests: every thread is a generator that yields at barriers. It throws
 * where threads race between two barriers, wait at different ones, or leave their memory.
 */
import type { Expression } from '../../packages/core/src/base/expression.js';
import type { ComputeType, MemoryType } from '../../packages/core/src/base/target.js';
import { cLikeTokens, printExpression } from '../../packages/core/src/codegen/expression-text.js';
import {
  arrayClass,
  binaryText,
  bitcastText,
  compareText,
  convertText,
  literalText,
  prelude,
  unaryText,
  widened,
  wrap,
} from '../../packages/core/src/codegen/script-operations.js';
import {
  type Element,
  elementwise,
  type Guard,
  type Operand,
  type ScalarOperation,
  type ThreadProgram,
  type ThreadStatement,
} from '../../packages/core/src/codegen/thread-program.js';
import { threadsTarget as target } from './programs.js';

const tokens = {
  ...cLikeTokens,
  divide: (a: string, b: string) => `Math.floor(${a} / ${b})`,
  floorDivide: (a: string, b: string) => `Math.floor(${a} / ${b})`,
  floorModulo: (a: string, b: string) => `(${a} - ${b} * Math.floor(${a} / ${b}))`,
  minimum: (a: string, b: string) => `Math.min(${a}, ${b})`,
  maximum: (a: string, b: string) => `Math.max(${a}, ${b})`,
};
const index = (e: Expression): string => printExpression(e, tokens);
const text = (o: Operand): string => (o.kind === 'name' ? o.name : literalText(o.dtype, o.value));
const guardText = (guard: Guard): string =>
  guard
    .map((p) => (typeof p === 'object' && 'dtype' in p ? text(p) : `${index(p)} !== 0`))
    .join(' && ') || 'true';

function operationText(program: ThreadProgram, dtype: ComputeType, o: ScalarOperation): string {
  switch (o.kind) {
    case 'copy':
    case 'uniform':
      return text(o.a);
    case 'index':
      return dtype === 'i64' ? `BigInt(${index(o.expression)})` : wrap(dtype, index(o.expression));
    case 'load': {
      const own = widened(memoryOf(program, o.element));
      const value = convertText(own, dtype, readText(o.element));
      return `${guardText(o.element.guard)} ? ${value} : ${literalText(dtype, o.other)}`;
    }
    case 'unary':
      return unaryText(dtype, o.name, text(o.a), target);
    case 'binary':
      return binaryText(dtype, o.name, text(o.a), text(o.b), target);
    case 'compare':
      return compareText(o.name, text(o.a), text(o.b));
    case 'select':
      return `${text(o.condition)} ? ${text(o.a)} : ${text(o.b)}`;
    case 'multiplyAdd': {
      const product = binaryText(dtype, 'multiply', text(o.a), text(o.b), target);
      return binaryText(dtype, 'add', product, text(o.c), target);
    }
    case 'convert':
      return convertText(o.a.dtype, dtype, text(o.a));
    case 'bitcast':
      return bitcastText(o.a.dtype, dtype, text(o.a));
    case 'widenHalf':
    case 'narrowHalf':
    case 'bundle':
      throw new Error(`the machine has no ${o.kind}`);
  }
}

const memoryOf = (program: ThreadProgram, e: Element): MemoryType =>
  [...program.buffers, ...program.shared].find((m) => m.name === e.memory)?.memory as MemoryType;
const readText = (e: Element): string => `read('${e.memory}', ${index(e.address)}, lane)`;

function lines(program: ThreadProgram, list: readonly ThreadStatement[]): string {
  const inner = (body: readonly ThreadStatement[]): string => lines(program, body);
  const stored = (e: Element, value: Operand): string =>
    convertText(value.dtype, widened(memoryOf(program, e)), text(value));
  return list
    .map((s): string => {
      switch (s.kind) {
        case 'let':
          return `const ${s.name} = ${operationText(program, s.dtype, s.operation)};`;
        case 'index': {
          const operand = typeof s.value === 'object' && 'dtype' in s.value;
          return `const ${s.name} = Number(${operand ? text(s.value) : index(s.value)});`;
        }
        case 'variable':
          return `let ${s.name} = ${text(s.initial)};`;
        case 'assign':
          return `${s.name} = ${operationText(program, s.dtype, s.operation)};`;
        case 'store': {
          const { memory, address, guard } = s.element;
          const call = `write('${memory}', ${index(address)}, ${stored(s.element, s.value)}, lane)`;
          return `if (${guardText(guard)}) ${call};`;
        }
        case 'loadVector':
        case 'storeVector': {
          // The promise that the address fits the length is checked, too.
          const length = s.kind === 'loadVector' ? s.names.length : s.values.length;
          const { address, guard } = s.element;
          const whole = `(${index(address)}) % ${length} === 0`;
          const check = `if (${guardText(guard)} && !(${whole})) throw new Error('unaligned');`;
          return `${check}\n${inner(elementwise(s))}`;
        }
        case 'atomic': {
          const { memory, address, guard } = s.element;
          const own = widened(memoryOf(program, s.element));
          const value = stored(s.element, s.value);
          const next =
            s.name === 'exchange' ? value : binaryText(own, s.name, 'old', value, target);
          const call = `atomic('${memory}', ${index(address)}, (old) => ${next}, lane)`;
          return `if (${guardText(guard)}) ${call};`;
        }
        case 'for': {
          const { index: i } = s;
          const end = `${i} < ${index(s.end)}; ${i} += ${index(s.step)}`;
          const head = `let ${i} = ${index(s.start)}; ${end}`;
          return `for (${head}) {\n${inner(s.body)}\n}`;
        }
        case 'while':
          return [
            'for (;;) {',
            inner(s.head),
            `if (!${text(s.condition)}) break;`,
            inner(s.body),
            '}',
          ].join('\n');
        case 'if':
          return `if (${guardText(s.guard)}) {\n${inner(s.then)}\n} else {\n${inner(s.else)}\n}`;
        case 'fail':
          return `if (${text(s.when)}) fail(${s.code});`;
        case 'leaveUnless':
          return `if (!(${guardText(s.guard)})) return;`;
        case 'barrier':
          return 'yield;';
        case 'exchange':
          return inner(s.body);
        default:
          return '';
      }
    })
    .join('\n');
}

export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Runs a thread program, group by group; throws where threads race between two barriers. */
export function runThreads(
  program: ThreadProgram,
  buffers: readonly Numbers[],
  sizes: readonly number[],
  tasks: number,
): void {
  const names = ['lane', 'task', ...program.sizes, 'read', 'write', 'atomic', 'fail'];
  const head = `${prelude}return function* (${names.join(', ')}) {`;
  const code = `${head}\n${lines(program, program.body)}\n};`;
  const thread = new Function(code)();
  for (let task = 0; task < tasks + 1; task++) {
    const memories = new Map<string, Numbers>(
      program.buffers.map((b, i) => [b.name, buffers[i] as Numbers]),
    );
    for (const s of program.shared) {
      memories.set(s.name, new Function(`return new ${arrayClass[s.memory]}(${s.length})`)());
    }
    let touched = new Map<string, { writer?: number; readers: Set<number>; atomic: boolean }>();
    const place = (memory: string, i: number) => {
      const array = memories.get(memory) as Numbers;
      if (!(i >= 0 && i < array.length)) throw new Error(`element ${i} of ${memory}`);
      const key = `${memory}[${i}]`;
      const cell = touched.get(key) ?? { readers: new Set<number>(), atomic: false };
      touched.set(key, cell);
      return { array, cell, key };
    };
    const race = (key: string): never => {
      throw new Error(`race at ${key}`);
    };
    const read = (memory: string, i: number, lane: number) => {
      const { array, cell, key } = place(memory, i);
      if (cell.writer !== undefined && cell.writer !== lane) race(key);
      cell.readers.add(lane);
      return array[i];
    };
    const write = (memory: string, i: number, value: never, lane: number) => {
      const { array, cell, key } = place(memory, i);
      if (cell.writer !== undefined && cell.writer !== lane) race(key);
      if ([...cell.readers].some((reader) => reader !== lane)) race(key);
      cell.writer = lane;
      array[i] = value;
    };
    const atomic = (memory: string, i: number, next: (old: never) => never) => {
      const { array } = place(memory, i);
      array[i] = next(array[i] as never);
    };
    const status = buffers[program.buffers.length] as Int32Array;
    const fail = (codeOf: number) => {
      status[0] = Math.min(status[0] as number, codeOf);
    };
    const threads = Array.from({ length: program.group }, (_, lane) =>
      thread(lane, task, ...sizes, read, write, atomic, fail),
    );
    for (;;) {
      const done = threads.map((t) => t.next().done as boolean);
      if (done.every((d) => d)) break;
      if (done.some((d) => d)) throw new Error('threads wait at different barriers');
      touched = new Map();
    }
  }
}
