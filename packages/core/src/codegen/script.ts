/**
 * Says tile programs in JavaScript: the language of the pretend chip, written to be right and
 * easy to read in a debugger. Every lane of a tile is a scalar variable; a program touches memory
 * through typed arrays and throws where it would leave its buffers.
 */
import type { DType } from '../base/dtype.js';
import { refused } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { ComputeType, MatrixUnit, Target } from '../base/target.js';
import type { Operation, Statement, TileProgram, TileType, ValueId } from '../kernel/tile.js';
import type { Entry, Language, Source } from './language.js';
import {
  block,
  coordinates,
  countOf,
  index,
  lane,
  load,
  memoryName,
  type Printer,
  printed,
  readText,
  scatter,
  store,
  type Value,
  write,
} from './script-memory.js';
import {
  arrayClass,
  binaryText,
  bitcastText,
  compareText,
  convertText,
  literalText,
  prelude,
  unaryText,
  wrap,
} from './script-operations.js';

/**
 * The text is the body of a function without parameters that returns one function per kernel:
 * `new Function(source.text)()[name](buffers, sizes, begin, end)`, where buffers are Uint8Arrays
 * (the status word last), sizes numbers, and [begin, end) linear task numbers.
 */
export const scriptLanguage: Language = {
  name: 'script',
  emit(kernels: readonly TileProgram[], target: Target): Source {
    const functions = kernels.map((kernel) => kernelText(kernel, target));
    const names = kernels.map((kernel) => kernel.name).join(', ');
    return {
      language: 'script',
      target: target.id,
      text: `${prelude}${functions.join('')}return { ${names} };\n`,
      entries: kernels.map(entryOf),
    };
  },
};

function entryOf(kernel: TileProgram): Entry {
  const buffers = kernel.buffers.map((b) => ({ name: b.name, write: b.access !== 'read' }));
  return {
    name: kernel.name,
    group: [1, 1, 1],
    sharedBytes: 0,
    scratchBytes: 0,
    buffers: kernel.mayFail ? [...buffers, { name: 'status', write: true }] : buffers,
    sizes: kernel.sizes,
    indexType: kernel.indexType,
    axes: kernel.grid.length,
  };
}

function kernelText(kernel: TileProgram, target: Target): string {
  const p: Printer = {
    target,
    memory: new Map([...kernel.buffers, ...kernel.scratch].map((m) => [m.name, m.memory])),
    values: new Map(),
    variableTypes: new Map(),
    lines: [],
    outside: [],
    indent: 1,
  };
  kernel.buffers.forEach((b, i) => {
    const name = memoryName(b.name);
    const bytes = `buffers[${i}]`;
    const kind = arrayClass[b.memory];
    const length = `Math.floor(${bytes}.byteLength / ${kind}.BYTES_PER_ELEMENT)`;
    write(p, `const ${name} = new ${kind}(${bytes}.buffer, ${bytes}.byteOffset, ${length});`);
  });
  if (kernel.mayFail) {
    const last = `buffers[${kernel.buffers.length}]`;
    write(p, `const status = new Int32Array(${last}.buffer, ${last}.byteOffset, 1);`);
  }
  for (const s of kernel.scratch) {
    write(p, `const ${memoryName(s.name)} = new ${arrayClass[s.memory]}(${s.length});`);
  }
  if (kernel.sizes.length > 0) write(p, `const [${kernel.sizes.join(', ')}] = sizes;`);
  block(p, 'for (let task = begin; task < end; task++) {', () => {
    writeTask(p, kernel);
    statements(p, kernel.body);
  });
  const text = `function ${kernel.name}(buffers, sizes, begin, end) {\n${p.lines.join('\n')}\n}`;
  if (p.outside.length === 0) return `${text}\n`;
  return `const ${kernel.name} = (() => {\nlet ${p.outside.join(', ')};\nreturn ${text};\n})();\n`;
}

/** Grid coordinates of a linear task number; the last axis runs fastest. */
function writeTask(p: Printer, kernel: TileProgram): void {
  let rest = 'task';
  for (let axis = kernel.grid.length - 1; axis >= 0; axis--) {
    const { name, extent } = kernel.grid[axis] as TileProgram['grid'][number];
    if (axis === 0) {
      write(p, `const ${name} = ${rest};`);
      return;
    }
    write(p, `const e_${name} = ${index(extent)};`);
    write(p, `const ${name} = ${rest} % e_${name};`);
    write(p, `const r_${name} = Math.floor(${rest} / e_${name});`);
    rest = `r_${name}`;
  }
}

function statements(p: Printer, list: readonly Statement[]): void {
  for (const s of list) statement(p, s);
}

function statement(p: Printer, s: Statement): void {
  switch (s.kind) {
    case 'let':
      p.values.set(s.id, define(p, s.id, s.type, s.operation));
      return;
    case 'name': {
      const value = printed(p, s.value);
      write(p, `const ${s.name} = Number(${lane(value, 0)});`);
      return;
    }
    case 'variable': {
      const { dtype, shape } = s.type;
      const initial = printed(p, s.initial);
      const lanes = countOf(shape);
      p.variableTypes.set(s.id, { dtype, lanes });
      // V8 in Node 20 crashes where it optimizes a local bigint that changes.
      const wide = dtype === 'i64' || dtype === 'u64';
      for (let i = 0; i < lanes; i++) {
        if (wide) p.outside.push(`x${s.id}_${i}`);
        write(p, `${wide ? '' : 'let '}x${s.id}_${i} = ${lane(initial, i)};`);
      }
      return;
    }
    case 'assign': {
      const value = printed(p, s.value);
      const lanes = p.variableTypes.get(s.variable)?.lanes ?? 0;
      for (let i = 0; i < lanes; i++) write(p, `x${s.variable}_${i} = ${lane(value, i)};`);
      return;
    }
    case 'store':
      store(p, s.access, printed(p, s.value));
      return;
    case 'touch':
      return;
    case 'scatter':
    case 'atomic':
      scatter(p, s);
      return;
    case 'for': {
      const i = s.index;
      const [start, end, step] = [index(s.start), index(s.end), index(s.step)];
      const head = `for (let ${i} = ${start}, e_${i} = ${end}; ${i} < e_${i}; ${i} += ${step}) {`;
      block(p, head, () => statements(p, s.body));
      return;
    }
    case 'while':
      block(p, 'for (;;) {', () => {
        statements(p, s.head);
        write(p, `if (!${lane(printed(p, s.condition), 0)}) break;`);
        statements(p, s.body);
      });
      return;
    case 'if': {
      const condition = conditionText(p, s.condition);
      const otherwise = s.else.length > 0;
      block(p, `if (${condition}) {`, () => statements(p, s.then), otherwise ? '} else {' : '}');
      if (!otherwise) return;
      p.indent++;
      statements(p, s.else);
      p.indent--;
      write(p, '}');
      return;
    }
    case 'fail': {
      const any = printed(p, s.when).lanes.join(' || ');
      write(p, `if (${any}) status[0] = Math.min(status[0], ${s.code});`);
      return;
    }
    default:
      throw refused(`statement ${(s as { kind: string }).kind}`, 'unknown to the language script');
  }
}

function conditionText(p: Printer, condition: Expression | { readonly value: ValueId }): string {
  if (typeof condition === 'object' && 'value' in condition) {
    return lane(printed(p, condition.value), 0);
  }
  return `${index(condition)} !== 0`;
}

/** Makes the lanes of a `let`: constants, one per lane, or plain renaming where nothing happens. */
function define(p: Printer, id: ValueId, type: TileType, operation: Operation): Value {
  const { dtype, shape } = type;
  const count = countOf(shape);
  const renamed = (pick: (i: number) => string): Value => ({
    dtype,
    shape,
    lanes: Array.from({ length: count }, (_, i) => pick(i)),
  });
  const named = (textOf: (i: number) => string): Value =>
    renamed((i) => {
      write(p, `const v${id}_${i} = ${textOf(i)};`);
      return `v${id}_${i}`;
    });
  const o = operation;
  switch (o.kind) {
    case 'literal':
      return renamed(() => literalText(dtype, o.value));
    case 'scalar': {
      const text = index(o.expression);
      return named(() =>
        dtype === 'i64' || dtype === 'u64' ? `BigInt(${text})` : wrap(dtype, text),
      );
    }
    case 'iota':
      return renamed((i) => literalText(dtype, i));
    case 'load':
      return load(p, id, type, o.access, o.other ?? 0);
    case 'gather': {
      const at = printed(p, o.index);
      return named((i) => {
        const element = readText(p, o.buffer, dtype, lane(at, i));
        if (o.mask === undefined) return element;
        return `${lane(printed(p, o.mask), i)} ? ${element} : ${literalText(dtype, 0)}`;
      });
    }
    case 'unary': {
      const a = printed(p, o.a);
      return named((i) => unaryText(dtype, o.name, lane(a, i), p.target));
    }
    case 'binary': {
      const [a, b] = [printed(p, o.a), printed(p, o.b)];
      return named((i) => binaryText(dtype, o.name, lane(a, i), lane(b, i), p.target));
    }
    case 'compare': {
      const [a, b] = [printed(p, o.a), printed(p, o.b)];
      return named((i) => compareText(o.name, lane(a, i), lane(b, i)));
    }
    case 'select': {
      const [c, a, b] = [printed(p, o.condition), printed(p, o.a), printed(p, o.b)];
      return named((i) => `${lane(c, i)} ? ${lane(a, i)} : ${lane(b, i)}`);
    }
    case 'multiplyAdd': {
      const [a, b, c] = [printed(p, o.a), printed(p, o.b), printed(p, o.c)];
      return named((i) => multiplyAdd(p, dtype, lane(a, i), lane(b, i), lane(c, i)));
    }
    case 'convert': {
      const a = printed(p, o.a);
      return named((i) => convertText(a.dtype, dtype, lane(a, i)));
    }
    case 'bitcast': {
      const a = printed(p, o.a);
      return named((i) => bitcastText(a.dtype, dtype, lane(a, i)));
    }
    case 'broadcast': {
      const a = printed(p, o.a);
      return renamed((i) => lane(a, coordinates(shape, i)[o.axis] ?? 0));
    }
    case 'transpose': {
      const a = printed(p, o.a);
      return renamed((i) => {
        const [row = 0, column = 0] = coordinates(shape, i);
        return lane(a, column * (shape[0] as number) + row);
      });
    }
    case 'reduce': {
      const a = printed(p, o.a);
      const extent = a.shape[o.axis] as number;
      const stride = o.axis === a.shape.length - 1 ? 1 : (a.shape[1] as number);
      return named((i) => {
        const first = stride === 1 ? i * extent : i;
        const parts = Array.from({ length: extent }, (_, k) => lane(a, first + k * stride));
        return parts.reduce((left, right) => binaryText(dtype, o.name, left, right, p.target));
      });
    }
    case 'scan': {
      const a = printed(p, o.a);
      return named((i) => {
        if (i === 0) return lane(a, 0);
        return binaryText(dtype, o.name, `v${id}_${i - 1}`, lane(a, i), p.target);
      });
    }
    case 'dot': {
      const [a, b, c] = [printed(p, o.a), printed(p, o.b), printed(p, o.accumulator)];
      const [depth, columns] = [a.shape[1] as number, shape[1] as number];
      const unit = o.unit === undefined ? undefined : unitOf(p.target, o.unit);
      const side = unit?.interleave ?? 1;
      return named((i) => {
        const [row = 0, column = 0] = coordinates(shape, i);
        let sum = lane(c, i);
        for (let k = 0; k < depth; k++) {
          const at = Math.floor(k / side) * columns * side + column * side + (k % side);
          const [left, right] = [lane(a, row * depth + k), lane(b, at)];
          const [l, r] = [decoded(left, unit?.left, dtype), decoded(right, unit?.right, dtype)];
          sum = multiplyAdd(p, dtype, l, r, sum);
        }
        return sum;
      });
    }
    case 'read':
      return named((i) => `x${o.variable}_${i}`);
    default:
      throw refused(`operation ${(o as { kind: string }).kind}`, 'unknown to the language script');
  }
}

function unitOf(target: Target, name: string): MatrixUnit {
  const unit = target.matrixUnits.find((each) => each.name === name);
  if (unit === undefined)
    throw refused(`matrix unit ${name}`, `${target.id} has none of that name`);
  return unit;
}

/** An element of a matrix unit's operand from its bits. */
function decoded(bits: string, dtype: DType | undefined, to: ComputeType): string {
  if (dtype === undefined || dtype === 'i8' || dtype === 'u8') return bits;
  if (dtype !== 'bf16')
    throw refused(`${dtype} in a matrix unit`, 'unknown to the language script');
  return bitcastText('u32', to, `((${bits} << 16) >>> 0)`);
}

function multiplyAdd(p: Printer, dtype: ComputeType, a: string, b: string, c: string): string {
  if (p.target.fusedMultiplyAdd && (dtype === 'f32' || dtype === 'f64')) {
    throw refused('fused multiply-add', `JavaScript has none; ${p.target.id} must not claim it`);
  }
  return binaryText(dtype, 'add', binaryText(dtype, 'multiply', a, b, p.target), c, p.target);
}
