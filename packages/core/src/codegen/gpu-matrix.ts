/**
 * Text of a matrix unit's call in C for GPUs: a helper function of the dialect's own words, which
 * may be inline assembly. A host that runs the text defines a macro of the helper's name first.
 */
import { refused } from '../base/errors.js';
import { type GpuDialectName, gpuDialects } from './gpu-dialects.table.js';
import { operandText, type ScalarContext } from './gpu-scalar.js';
import { bundleUnitOf } from './matrix-units.table.js';
import type { ThreadStatement } from './thread-program.js';

const isDialect = (name: string): name is GpuDialectName => Object.hasOwn(gpuDialects, name);

/** The call; throws refused where the dialect has no helper for the unit. */
export function matrixCall(
  c: ScalarContext,
  s: Extract<ThreadStatement, { kind: 'matrix' }>,
): string {
  const unit = bundleUnitOf(s.unit);
  const body = isDialect(c.name) ? unit?.bodies[c.name] : undefined;
  if (unit === undefined || body === undefined) {
    throw refused(`matrix unit ${s.unit}`, `the language ${c.name} has no words for it`);
  }
  const { types, helper } = c.dialect;
  const parameters = [
    ...s.sums.map((_, i) => `${types.f32} *d${i}`),
    ...s.left.map((_, i) => `${types.u32} a${i}`),
    ...s.right.map((_, i) => `${types.u32} b${i}`),
  ];
  c.helpers.set(
    unit.helper,
    [
      `#ifndef ${unit.helper}`,
      `${helper} void ${unit.helper}(${parameters.join(', ')}) {`,
      `  ${body}`,
      '}',
      '#endif',
    ].join('\n'),
  );
  const operands = [...s.left, ...s.right].map((operand) => operandText(c, operand));
  return `${unit.helper}(${[...s.sums.map((sum) => `&${sum}`), ...operands].join(', ')});`;
}
