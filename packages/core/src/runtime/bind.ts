/** What is checked before and while a program runs: inputs, symbols, relations between sizes. */
import { failure } from '../base/errors.js';
import { printExpression, variablesOf } from '../base/expression.js';
import { type HostTensor, isStorageOf } from '../base/host-tensor.js';
import type { Parameter, Procedure } from '../codegen/program.js';
import type { Requirement } from '../graph/node.js';
import { type Environment, evaluatorOf } from './sizes.js';

/** A value that is given: on the host, or (without `data`) already on the device. */
type Given = Pick<HostTensor, 'dtype' | 'shape'> & Partial<Pick<HostTensor, 'data'>>;

/** Numbers of the symbols that the inputs' sizes give. Throws OC-RUN-05, 06, 07. */
export function bindInputs(
  { parameters, symbols }: Procedure,
  inputs: readonly Given[],
): Map<string, number> {
  if (inputs.length !== parameters.length) {
    throw failure('OC-RUN-05', { given: inputs.length, expected: parameters.length });
  }
  const environment = new Map<string, number>();
  const byNode = new Map(parameters.map(({ node }, i) => [node, inputs[i] as Given]));
  parameters.forEach((parameter, i) => {
    checkType(parameter, inputs[i] as Given);
  });
  for (const [name, source] of symbols) {
    if (source.from !== 'size') continue;
    environment.set(name, byNode.get(source.input)?.shape[source.axis] as number);
  }
  parameters.forEach((parameter, i) => {
    const { shape } = inputs[i] as Given;
    const fits = parameter.shape.every((size, axis) => {
      const known = [...variablesOf(size).keys()].every((name) => environment.has(name));
      return !known || evaluatorOf(size)(environment) === shape[axis];
    });
    if (!fits) throw wrongShape(parameter, shape);
  });
  return environment;
}

function checkType(parameter: Parameter, { dtype, shape, data }: Given): void {
  const { name } = parameter;
  if (dtype !== parameter.dtype) {
    throw failure('OC-RUN-06', { name, given: dtype, expected: parameter.dtype });
  }
  if (data !== undefined && !isStorageOf(dtype, data)) {
    const given = `${dtype} in an array of another type`;
    throw failure('OC-RUN-06', { name, given, expected: parameter.dtype });
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const isWhole = data === undefined || data.length === count;
  if (shape.length !== parameter.shape.length || !isWhole) {
    throw wrongShape(parameter, shape);
  }
}

function wrongShape({ name, shape }: Parameter, given: readonly number[]): Error {
  const expected = shape.map(printExpression);
  return failure('OC-RUN-07', { name, given: `[${given}]`, expected: `[${expected}]` });
}

/** Checks the relations whose symbols are known; gives the others. Throws OC-SHAPE-04. */
export function checkRequirements(
  requirements: readonly Requirement[],
  environment: Environment,
): readonly Requirement[] {
  return requirements.filter(({ relation, left, right, what }) => {
    const names = [...variablesOf(left).keys(), ...variablesOf(right).keys()];
    if (!names.every((name) => environment.has(name))) return true;
    const [a, b] = [evaluatorOf(left)(environment), evaluatorOf(right)(environment)];
    const holds = relation === 'equal' ? a === b : a >= b;
    if (!holds) throw failure('OC-SHAPE-04', { what, left: a, right: b });
    return false;
  });
}
