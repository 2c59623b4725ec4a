/** Memory accesses and lanes of the script language: what its statements are made of. */
import { internal } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Access, Statement, TileType, ValueId } from '../kernel/tile.js';
import { cLikeTokens, type ExpressionTokens, printExpression } from './expression-text.js';
import { binaryText, convertText, literalText, widened } from './script-operations.js';

/** A printed value: one text per lane, row by row. */
export interface Value {
  readonly dtype: ComputeType;
  readonly shape: readonly number[];
  readonly lanes: readonly string[];
}

/** What printing a kernel writes into. */
export interface Printer {
  readonly target: Target;
  readonly memory: ReadonlyMap<string, MemoryType>;
  readonly values: Map<ValueId, Value>;
  readonly variableTypes: Map<number, { dtype: ComputeType; lanes: number }>;
  readonly lines: string[];
  /** Names of 64-bit integer variables, which live outside of the function. */
  readonly outside: string[];
  indent: number;
}

/** Index arithmetic in numbers, which are exact far beyond any address. */
const tokens: ExpressionTokens = {
  ...cLikeTokens,
  divide: (left, right) => `Math.floor(${left} / ${right})`,
  floorDivide: (left, right) => `Math.floor(${left} / ${right})`,
  floorModulo: (left, right) => `(${left} - ${right} * Math.floor(${left} / ${right}))`,
  minimum: (left, right) => `Math.min(${left}, ${right})`,
  maximum: (left, right) => `Math.max(${left}, ${right})`,
  equalTo: (left, right) => `(${left} === ${right} ? 1 : 0)`,
};

export const index = (e: Expression): string => printExpression(e, tokens);
export const memoryName = (buffer: string): string => `m_${buffer}`;

export function write(p: Printer, line: string): void {
  p.lines.push('  '.repeat(p.indent) + line);
}

export function block(p: Printer, head: string, body: () => void, tail = '}'): void {
  write(p, head);
  p.indent++;
  body();
  p.indent--;
  write(p, tail);
}

export function printed(p: Printer, id: ValueId): Value {
  const value = p.values.get(id);
  if (value === undefined) throw internal(`tile value ${id} is used before it is made`);
  return value;
}

/** Text of one lane; uniform values serve every lane. */
export function lane(value: Value, i: number): string {
  return value.lanes[value.shape.length === 0 ? 0 : i] as string;
}

export const countOf = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1);

export function coordinates(shape: readonly number[], i: number): readonly number[] {
  if (shape.length < 2) return shape.length === 0 ? [] : [i];
  const columns = shape[1] as number;
  return [Math.floor(i / columns), i % columns];
}

function memoryOf(p: Printer, buffer: string): MemoryType {
  const memory = p.memory.get(buffer);
  if (memory === undefined) throw internal(`tile program uses unknown memory ${buffer}`);
  return memory;
}

/** An element of a memory, named with the check that it is inside. */
function elementText(p: Printer, buffer: string, element: string): string {
  const name = memoryName(buffer);
  memoryOf(p, buffer);
  return `${name}[at(Number(${element}), ${name}.length, '${buffer}')]`;
}

export function readText(p: Printer, buffer: string, dtype: ComputeType, element: string): string {
  return convertText(widened(memoryOf(p, buffer)), dtype, elementText(p, buffer, element));
}

const writeText = (p: Printer, buffer: string, dtype: ComputeType, value: string): string =>
  convertText(dtype, widened(memoryOf(p, buffer)), value);

/** Address of a lane, and the condition under which it is touched (empty: always). */
function touch(
  p: Printer,
  access: Access,
  shape: readonly number[],
  i: number,
): { readonly address: string; readonly condition: string } {
  const where = coordinates(shape, i);
  const steps = where.map((k, d) => (k === 0 ? '' : ` + ${k} * ${index(access.strides[d] ?? 0)}`));
  const conditions = where.flatMap((k, d) => {
    const { low, high } = access.limits?.[d] ?? {};
    return [
      ...(low === undefined ? [] : [`${k} >= ${index(low)}`]),
      ...(high === undefined ? [] : [`${k} < ${index(high)}`]),
    ];
  });
  if (access.mask !== undefined) conditions.push(lane(printed(p, access.mask), i));
  return { address: index(access.address) + steps.join(''), condition: conditions.join(' && ') };
}

export function load(
  p: Printer,
  id: ValueId,
  type: TileType,
  access: Access,
  other: number,
): Value {
  const { dtype, shape } = type;
  const lanes = Array.from({ length: countOf(shape) }, (_, i) => {
    const { address, condition } = touch(p, access, shape, i);
    const element = readText(p, access.buffer, dtype, address);
    const untouched = literalText(dtype, other);
    const text = condition === '' ? element : `${condition} ? ${element} : ${untouched}`;
    write(p, `const v${id}_${i} = ${text};`);
    return `v${id}_${i}`;
  });
  return { dtype, shape, lanes };
}

export function store(p: Printer, access: Access, value: Value): void {
  for (let i = 0; i < countOf(value.shape); i++) {
    const { address, condition } = touch(p, access, value.shape, i);
    const text = writeText(p, access.buffer, value.dtype, lane(value, i));
    const line = `${elementText(p, access.buffer, address)} = ${text};`;
    write(p, condition === '' ? line : `if (${condition}) ${line}`);
  }
}

export function scatter(p: Printer, s: Extract<Statement, { kind: 'scatter' | 'atomic' }>): void {
  const [at, value] = [printed(p, s.index), printed(p, s.value)];
  const count = Math.max(countOf(at.shape), countOf(value.shape));
  for (let i = 0; i < count; i++) {
    const element = elementText(p, s.buffer, lane(at, i));
    const own = widened(memoryOf(p, s.buffer));
    const text = writeText(p, s.buffer, value.dtype, lane(value, i));
    const plain = s.kind === 'scatter' || s.name === 'exchange';
    const name = s.kind === 'scatter' || s.name === 'exchange' ? 'add' : s.name;
    const next = plain ? text : binaryText(own, name, element, text, p.target);
    const line = `${element} = ${next};`;
    write(p, s.mask === undefined ? line : `if (${lane(printed(p, s.mask), i)}) ${line}`);
  }
}
