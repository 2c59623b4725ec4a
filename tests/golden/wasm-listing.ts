/**
 * A WebAssembly module as text: one line per statement, operands folded into it, locals by number.
 * A decoder of its own, so that it also checks what the encoder wrote.
 */
import { opcodes } from '../../packages/core/src/codegen/wasm-opcodes.js';

const names = new Map(
  Object.entries(opcodes).map(([name, { prefix, code }]) => [`${prefix ?? ''}:${code}`, name]),
);

class Reader {
  private readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new Error('the module ends too early');
    return value;
  }

  /** LEB128. */
  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 128) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.slice(this.at - count, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }
}

const threeOperands = /select|relaxed_madd|cmpxchg/;
const oneOperand = new RegExp(
  [
    /\.(eqz|abs|neg|ceil|floor|trunc|nearest|sqrt|splat|not|any_true|all_true)$/,
    /\.(clz|ctz|popcnt|bitmask)$/,
    /\.(wrap|extend|convert|demote|promote|reinterpret|trunc_sat)/,
    /\.extract_lane$/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

const operandsOf = (name: string): number => {
  if (threeOperands.test(name)) return 3;
  return oneOperand.test(name) ? 1 : 2;
};

const hexOf = (bytes: Uint8Array): string =>
  [...new Uint32Array(bytes.buffer)].map((n) => `0x${n.toString(16)}`).join(' ');

/** Text of one function's instructions. */
function bodyText(reader: Reader, end: number): string[] {
  const lines: string[] = [];
  const stack: string[] = [];
  let indent = '  ';
  const pop = (): string => {
    const value = stack.pop();
    if (value === undefined) throw new Error('an operand is missing');
    return value;
  };
  const line = (text: string): void => {
    if (stack.length > 0) throw new Error(`values are left below: ${text}`);
    lines.push(`${indent}${text}`);
  };
  const place = (): string => {
    reader.unsigned();
    const offset = reader.unsigned();
    return offset === 0 ? '' : ` + ${offset}`;
  };
  const constants: Readonly<Record<string, () => string>> = {
    'i32.const': () => String(reader.signed()),
    'i64.const': () => `${reader.signed()}L`,
    'f32.const': () => `${new Float32Array(reader.take(4).buffer)[0]}f`,
    'f64.const': () => `${new Float64Array(reader.take(8).buffer)[0]}d`,
    'v128.const': () => `[${hexOf(reader.take(16))}]`,
    'local.get': () => `$${reader.unsigned()}`,
    'memory.size': () => `memory ${reader.byte()}`,
  };
  const open = (text: string): void => {
    reader.byte();
    line(text);
    indent += '  ';
  };
  while (reader.at < end) {
    const first = reader.byte();
    const isPrefix = [0xfc, 0xfd, 0xfe].includes(first);
    const name = names.get(isPrefix ? `${first}:${reader.unsigned()}` : `:${first}`);
    if (name === undefined) throw new Error(`opcode ${first} is unknown`);
    const constant = constants[name];
    if (constant !== undefined) stack.push(constant());
    else if (name === 'block' || name === 'loop') open(name);
    else if (name === 'if') open(`if ${pop()}`);
    else if (name === 'else' || name === 'end') {
      indent = indent.slice(2);
      if (name === 'else') {
        line('else');
        indent += '  ';
      }
    } else if (name === 'br') line(`br ${reader.unsigned()}`);
    else if (name === 'br_if') {
      const condition = pop();
      line(`br ${reader.unsigned()} if ${condition}`);
    } else if (name === 'local.set') {
      const value = pop();
      line(`$${reader.unsigned()} = ${value}`);
    } else if (name === 'local.tee') {
      stack.push(`($${reader.unsigned()} := ${pop()})`);
    } else if (name === 'drop') line(`drop ${pop()}`);
    else if (name.includes('.store')) {
      const offset = place();
      const lane = name.endsWith('_lane') ? ` lane ${reader.byte()}` : '';
      const value = pop();
      line(`${name} [${pop()}${offset}] = ${value}${lane}`);
    } else if (name.includes('.load')) {
      const offset = place();
      const into = name.endsWith('_lane') ? ` lane ${reader.byte()} of ${pop()}` : '';
      stack.push(`${name}[${pop()}${offset}]${into}`);
    } else {
      const lane = /_lane$/.test(name) ? `, lane ${reader.byte()}` : '';
      const offset = name.includes('.atomic.') ? place() : '';
      const bytes = name === 'i8x16.shuffle' ? `, ${[...reader.take(16)].join(' ')}` : '';
      const operands = Array.from({ length: operandsOf(name) }, pop).reverse();
      stack.push(`${name}(${operands.join(', ')}${lane}${bytes})${offset}`);
    }
  }
  return lines;
}

/** Every function by its exported name, with the types of its locals. */
export function wasmListing(module: Uint8Array): string {
  const reader = new Reader(module, 8);
  const exported: string[] = [];
  const lines: string[] = [];
  const typeNames: Readonly<Record<number, string>> = {
    127: 'i32',
    126: 'i64',
    125: 'f32',
    124: 'f64',
    123: 'v128',
  };
  while (!reader.ended) {
    const section = reader.byte();
    const end = reader.unsigned() + reader.at;
    if (section === 7) {
      for (let count = reader.unsigned(); count > 0; count--) {
        exported.push(reader.text());
        reader.byte();
        reader.unsigned();
      }
    } else if (section === 10) {
      const count = reader.unsigned();
      for (let i = 0; i < count; i++) {
        const bodyEnd = reader.unsigned() + reader.at;
        const locals = Array.from({ length: reader.unsigned() }, () => {
          const repeated = reader.unsigned();
          return `${typeNames[reader.byte()]}${repeated === 1 ? '' : `×${repeated}`}`;
        });
        lines.push(`function ${exported[i]}  locals after $4: ${locals.join(' ')}`);
        lines.push(...bodyText(reader, bodyEnd));
      }
    }
    reader.at = end;
  }
  return `${lines.join('\n')}\n`;
}
