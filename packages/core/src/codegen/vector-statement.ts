/** Statements of a tile program in a language with vectors. */
import { internal, refused } from '../base/errors.js';
import type { Statement, TileType } from '../kernel/tile.js';
import { checkedName } from './expression-text.js';
import { checkType } from './gpu-index.js';
import { convertText } from './gpu-scalar.js';
import { storeStatements, toMemory } from './vector-access.js';
import {
  anyText,
  fit,
  indexText,
  laneText,
  layoutIn,
  memoryOf,
  nestedIndex,
  partType,
  scalarOf,
  tileOf,
  type VectorKernel,
  type VectorValue,
} from './vector-kernel.js';
import { operationParts } from './vector-operation.js';

type Of<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;

/** Appends the text of the statements to the kernel. */
export function printStatements(k: VectorKernel, statements: readonly Statement[]): void {
  for (const s of statements) printStatement(k, s);
}

function printStatement(k: VectorKernel, s: Statement): void {
  const index = k.dialect.types[k.program.indexType];
  switch (s.kind) {
    case 'let': {
      checkType(k.target, s.type.dtype);
      const texts = operationParts(k, s.id, s.type, s.operation);
      const layout = layoutIn(k, s.type);
      // Literals stand where they are used.
      const parts = s.operation.kind === 'literal' ? texts : declare(k, `v${s.id}`, s.type, texts);
      k.values.set(s.id, { type: s.type, layout, parts });
      return;
    }
    case 'name': {
      const { dtype } = tileOf(k, s.value).type;
      const value = convertText(k, dtype, k.program.indexType, scalarOf(k, s.value));
      k.line(`const ${index} ${checkedName(s.name)} = ${value};`);
      return;
    }
    case 'variable': {
      const layout = layoutIn(k, s.type);
      const type = partType(k, s.type.dtype, layout.width);
      const initial = tileOf(k, s.initial);
      const parts = Array.from({ length: layout.rows * layout.parts }, (_, i) => {
        k.line(`${type} x${s.id}_${i} = ${fit(k, initial, layout, i)};`);
        return `x${s.id}_${i}`;
      });
      k.variables.set(s.id, { type: s.type, layout, parts });
      return;
    }
    case 'assign': {
      const variable = k.variables.get(s.variable);
      if (variable === undefined) throw internal(`variable ${s.variable} is not made`);
      const value = tileOf(k, s.value);
      for (const [i, part] of variable.parts.entries()) {
        k.line(`${part} = ${fit(k, value, variable.layout, i)};`);
      }
      return;
    }
    case 'store': {
      const { access, streaming = 0 } = s;
      for (const line of storeStatements(k, access, tileOf(k, s.value), streaming)) k.line(line);
      return;
    }
    case 'touch':
      // OpenCL C has no such call that every compiler takes.
      return;
    case 'scatter':
      eachLane(k, s, (at, value) => `${at} = ${value};`);
      return;
    case 'atomic':
      eachLane(k, s, (at, value) => `${k.dialect.atomics[s.name]}(&${at}, ${value});`);
      return;
    case 'for': {
      const name = checkedName(s.index);
      const unroll = s.unroll ?? 1;
      if (unroll > 1) k.line(k.dialect.unroll.replace('{count}', String(unroll)));
      const start = `${index} ${name} = ${indexText(k, s.start)}`;
      const end = `${name} < ${nestedIndex(k, s.end)}`;
      k.line(`for (${start}; ${end}; ${name} += ${indexText(k, s.step)}) {`);
      printStatements(k, s.body);
      k.line('}');
      return;
    }
    case 'while':
      k.line('for (;;) {');
      printStatements(k, s.head);
      k.line(`if (!${scalarOf(k, s.condition)}) break;`);
      printStatements(k, s.body);
      k.line('}');
      return;
    case 'if': {
      const { condition } = s;
      const byValue = typeof condition === 'object' && 'value' in condition;
      k.line(`if (${byValue ? scalarOf(k, condition.value) : indexText(k, condition)}) {`);
      printStatements(k, s.then);
      if (s.else.length > 0) {
        k.line('} else {');
        printStatements(k, s.else);
      }
      k.line('}');
      return;
    }
    case 'fail':
      k.line(`if (${someLane(k, tileOf(k, s.when))}) {`);
      k.line(`${k.dialect.atomics.minimum}(status, ${s.code});`);
      k.line('}');
      return;
    default:
      throw refused(`statement ${(s as { kind: string }).kind}`, 'vectors cannot do it');
  }
}

/** Names for the parts of a tile; equal texts share one. */
function declare(
  k: VectorKernel,
  name: string,
  type: TileType,
  texts: readonly string[],
): readonly string[] {
  const word = partType(k, type.dtype, layoutIn(k, type).width);
  const made = new Map<string, string>();
  return texts.map((text, i) => {
    const known = made.get(text);
    if (known !== undefined) return known;
    const own = `${name}_${i}`;
    k.line(`const ${word} ${own} = ${text};`);
    made.set(text, own);
    return own;
  });
}

function someLane(k: VectorKernel, { layout, parts }: VectorValue): string {
  if (layout.width === 1) return parts.join(' || ');
  return anyText(k, parts.join(' | '));
}

const elements = ({ layout, parts }: VectorValue): number => layout.width * parts.length;

/** One statement per lane of index, value and mask, in order. */
function eachLane(
  k: VectorKernel,
  s: Of<'scatter'> | Of<'atomic'>,
  text: (place: string, value: string) => string,
): void {
  const [indices, values] = [tileOf(k, s.index), tileOf(k, s.value)];
  const mask = s.mask === undefined ? undefined : tileOf(k, s.mask);
  const tiles = mask === undefined ? [indices, values] : [indices, values, mask];
  const { layout } = tiles.reduce((a, b) => (elements(b) > elements(a) ? b : a));
  const { element } = memoryOf(k, s.buffer);
  const { dtype } = values.type;
  for (let part = 0; part < layout.rows * layout.parts; part++) {
    for (let lane = 0; lane < layout.width; lane++) {
      const at = (value: VectorValue): string => {
        const whole = fit(k, value, layout, part);
        if (layout.width === 1) return whole;
        const own = laneText(whole, lane);
        return value.type.dtype === 'bool' ? `(${own} != 0)` : own;
      };
      const value = toMemory(k, at(values), dtype, element, 1);
      const body = text(`${s.buffer}[${at(indices)}]`, value);
      k.line(mask === undefined ? body : `if (${at(mask)}) ${body}`);
    }
  }
}
