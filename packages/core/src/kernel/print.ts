/**
 * A tile program as text, for `explain --stage kernel` and golden files. Values, variables and
 * names are numbered in the order of the text, so that equal programs print equal; literals stand
 * where they are used.
 */
import { type Expression, printExpression, substitute, variable } from '../base/expression.js';
import type {
  Access,
  Limit,
  Operation,
  Statement,
  TileProgram,
  TileType,
  ValueId,
} from './tile.js';

interface Names {
  /** Number of values that have a line. */
  counted: number;
  readonly values: Map<ValueId, string>;
  readonly variables: Map<number, string>;
  readonly names: Map<string, string>;
  readonly lines: string[];
}

function numbered<K>(map: Map<K, string>, key: K, stem: string): string {
  const known = map.get(key);
  if (known !== undefined) return known;
  const name = `${stem}${map.size}`;
  map.set(key, name);
  return name;
}

const typeText = ({ dtype, shape }: TileType): string =>
  shape.length === 0 ? dtype : `${dtype}[${shape.join(',')}]`;

function sizeText(n: Names, e: Expression): string {
  return printExpression(
    substitute(e, (name) => {
      const shown = n.names.get(name);
      return shown === undefined ? undefined : variable(shown);
    }),
  );
}

const valueText = (n: Names, id: ValueId): string => n.values.get(id) ?? `?${id}`;

function limitText(n: Names, { low, high }: Limit): string {
  const [from, to] = [low, high].map((e) => (e === undefined ? '' : sizeText(n, e)));
  return `${from}..${to}`;
}

/** buffer[address + lane·stride, …], then what limits and masks it. */
function accessText(n: Names, access: Access): string {
  const strides = access.strides.map((stride) => sizeText(n, stride)).join(', ');
  const step = access.strides.length === 0 ? '' : ` by ${strides}`;
  const limits = access.limits?.map((limit) => limitText(n, limit)).join(', ');
  const limited = limits === undefined ? '' : ` lanes ${limits}`;
  const masked = access.mask === undefined ? '' : ` where ${valueText(n, access.mask)}`;
  return `${access.buffer}[${sizeText(n, access.address)}${step}]${limited}${masked}`;
}

const signs: Readonly<Record<string, string>> = {
  add: '+',
  subtract: '-',
  multiply: '*',
  divide: '/',
  remainder: '%',
  and: '&',
  or: '|',
  xor: '^',
  shiftLeft: '<<',
  shiftRight: '>>',
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

function literalText(value: number | bigint, type: TileType): string {
  if (type.dtype === 'bool') return value ? 'true' : 'false';
  return Object.is(value, -0) ? '-0' : String(value);
}

function pairText(name: string, a: string, b: string): string {
  const sign = signs[name];
  return sign === undefined ? `${name}(${a}, ${b})` : `${a} ${sign} ${b}`;
}

const masked = (n: Names, mask: ValueId | undefined): string =>
  mask === undefined ? '' : ` where ${valueText(n, mask)}`;

function operationText(n: Names, o: Operation, type: TileType): string {
  const v = (id: ValueId): string => valueText(n, id);
  switch (o.kind) {
    case 'literal':
      return literalText(o.value, type);
    case 'scalar':
      return sizeText(n, o.expression);
    case 'iota':
      return 'iota';
    case 'load': {
      const other = o.other === undefined ? '' : ` else ${literalText(o.other, type)}`;
      return `load ${accessText(n, o.access)}${other}`;
    }
    case 'untilLine':
      return `until line of ${o.line} ${accessText(n, o.access)}`;
    case 'gather':
      return `gather ${o.buffer}[${v(o.index)}]${masked(n, o.mask)}`;
    case 'unary':
      return `${o.name}(${v(o.a)})`;
    case 'binary':
    case 'compare':
      return pairText(o.name, v(o.a), v(o.b));
    case 'select':
      return `${v(o.condition)} ? ${v(o.a)} : ${v(o.b)}`;
    case 'multiplyAdd':
      return `multiplyAdd(${v(o.a)}, ${v(o.b)}, ${v(o.c)})`;
    case 'convert':
    case 'bitcast':
    case 'widenHalf':
    case 'narrowHalf':
    case 'transpose':
      return `${o.kind}(${v(o.a)})`;
    case 'broadcast':
      return `broadcast(${v(o.a)}, axis ${o.axis})`;
    case 'reduce':
      return `reduce ${o.name}(${v(o.a)}, axis ${o.axis})`;
    case 'scan':
      return `scan ${o.name}(${v(o.a)})`;
    case 'dot': {
      const unit = o.unit === undefined ? '' : ` ${o.unit}`;
      return `dot${unit}(${v(o.a)}, ${v(o.b)}, ${v(o.accumulator)})`;
    }
    case 'read':
      return n.variables.get(o.variable) ?? '?';
  }
}

function printBlock(n: Names, list: readonly Statement[], indent: string): void {
  for (const statement of list) printStatement(n, statement, indent);
}

function printStatement(n: Names, s: Statement, indent: string): void {
  const line = (text: string): void => {
    n.lines.push(`${indent}${text}`);
  };
  const inner = `${indent}  `;
  switch (s.kind) {
    case 'let': {
      if (s.operation.kind === 'literal') {
        n.values.set(s.id, literalText(s.operation.value, s.type));
        return;
      }
      const text = operationText(n, s.operation, s.type);
      const space = s.space === undefined || s.space === 'register' ? '' : ` ${s.space}`;
      const name = `v${n.counted++}`;
      n.values.set(s.id, name);
      line(`${name}: ${typeText(s.type)}${space} = ${text}`);
      return;
    }
    case 'name':
      line(`name ${numbered(n.names, s.name, 'i')} = ${valueText(n, s.value)}`);
      return;
    case 'variable': {
      const initial = valueText(n, s.initial);
      line(`variable ${numbered(n.variables, s.id, 'x')}: ${typeText(s.type)} = ${initial}`);
      return;
    }
    case 'assign':
      line(`${n.variables.get(s.variable) ?? '?'} = ${valueText(n, s.value)}`);
      return;
    case 'store': {
      const streaming = streamingText(n, s.streaming);
      line(`store ${accessText(n, s.access)} = ${valueText(n, s.value)}${streaming}`);
      return;
    }
    case 'touch': {
      const when = s.isLater === true ? 'later ' : '';
      line(`touch ${when}${s.count} of ${s.buffer}[${sizeText(n, s.address)}]`);
      return;
    }
    case 'scatter':
    case 'atomic': {
      const verb = s.kind === 'atomic' ? `atomic ${s.name}` : 'scatter';
      const place = `${s.buffer}[${valueText(n, s.index)}]`;
      line(`${verb} ${place} = ${valueText(n, s.value)}${masked(n, s.mask)}`);
      return;
    }
    case 'for': {
      const [start, end, step] = [s.start, s.end, s.step].map((e) => sizeText(n, e));
      const unroll = s.unroll === undefined ? '' : ` unroll ${s.unroll}`;
      line(`for ${numbered(n.names, s.index, 'i')} in ${start} .. ${end} step ${step}${unroll}`);
      printBlock(n, s.body, inner);
      return;
    }
    case 'while':
      line('while');
      printBlock(n, s.head, inner);
      line(`${valueText(n, s.condition)} do`);
      printBlock(n, s.body, inner);
      return;
    case 'if': {
      const { condition } = s;
      const isValue = typeof condition === 'object' && 'value' in condition;
      line(`if ${isValue ? valueText(n, condition.value) : sizeText(n, condition)}`);
      printBlock(n, s.then, inner);
      if (s.else.length === 0) return;
      line('else');
      printBlock(n, s.else, inner);
      return;
    }
    case 'fail':
      line(`fail ${s.code} where ${valueText(n, s.when)}`);
      return;
  }
}

function streamingText(n: Names, condition: Expression | undefined): string {
  if (condition === undefined) return '';
  return typeof condition === 'number' ? ' streaming' : ` streaming if ${sizeText(n, condition)}`;
}

/** The whole program: a line for memory and sizes, one for the grid, then the statements. */
export function printProgram(program: TileProgram): string {
  const { name, target, lanes, group, buffers, sizes, scratch, grid, indexType } = program;
  const n: Names = {
    counted: 0,
    values: new Map(),
    variables: new Map(),
    names: new Map(),
    lines: [],
  };
  const machine = group > 1 ? `group ${group}` : `lanes ${lanes}`;
  n.lines.push(`kernel ${name} for ${target}  ${machine}  index ${indexType}`);
  const marks = { read: '', write: ' write', readWrite: ' read write' };
  const memory = buffers.map((b) => `${b.name}: ${b.memory}${marks[b.access]}`);
  if (program.mayFail) memory.push('status: i32');
  n.lines.push(`memory ${memory.join(', ')}`);
  for (const size of sizes) numbered(n.names, size, 'n');
  if (sizes.length > 0) {
    n.lines.push(`sizes ${sizes.map((size) => n.names.get(size)).join(', ')}`);
  }
  for (const s of scratch) n.lines.push(`${s.space} ${s.name}: ${s.memory}[${s.length}]`);
  // Extents use sizes only, so they are printed before the axes get their names.
  const extents = grid.map(({ extent }) => sizeText(n, extent));
  const axes = grid.map((axis, i) => `${numbered(n.names, axis.name, 'g')} < ${extents[i]}`);
  n.lines.push(`grid ${axes.length === 0 ? 'one task' : axes.join(', ')}`);
  printBlock(n, program.body, '  ');
  return `${n.lines.join('\n')}\n`;
}
