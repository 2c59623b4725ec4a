/** A program of a model for the values that it was made for, loaded on its device. */
import {
  type Executable,
  elementCount,
  type HostTensor,
  load,
  type Precision,
  type Program,
  programFor,
  type Tuning,
} from '@open-claw/core/face';
import type { Loaded } from '@open-claw/core/graph';
import type { ImportedModel, InputFacts, ModelProto, OnnxValue } from '@open-claw/formats';
import type { Backend } from '../devices/choose.js';
import { givenInputs, portOf, type Sizes } from './ports.js';

export interface Prepared {
  readonly imported: ImportedModel;
  /** Absent for the interpreter. */
  readonly program: Program | undefined;
  readonly executable: Executable;
  /** The same, and where it lies. */
  readonly loaded: Loaded;
  /** Inputs whose values the program was made for. */
  readonly fixed: ReadonlyMap<string, OnnxValue>;
  /** Inputs whose sizes it was made for. */
  readonly shaped: ReadonlyMap<string, string>;
}

export interface PrepareOptions {
  readonly memory?: number;
  readonly precision?: Precision;
  readonly tuning?: Tuning;
  readonly values: ReadonlyMap<string, OnnxValue>;
  readonly fixed: readonly string[];
  readonly shaped: readonly string[];
}

export async function prepare(
  imported: ImportedModel,
  backend: Backend,
  { memory, precision, tuning, values, fixed, shaped }: PrepareOptions,
): Promise<Prepared> {
  const { graph } = imported;
  const made = {
    imported,
    fixed: new Map(fixed.map((name) => [name, values.get(name) as OnnxValue])),
    shaped: new Map(shaped.map((name) => [name, shapeText(values.get(name))])),
  };
  if (backend.kind === 'interpreter') {
    const { interpreterExecutable } = await import('@open-claw/core');
    const executable = interpreterExecutable(graph);
    return { ...made, program: undefined, executable, loaded: { executable } };
  }
  const { opened } = backend;
  const program = await programFor(graph, opened, {
    ...(precision === undefined ? {} : { precision }),
    ...(tuning === undefined ? {} : { tuning }),
  });
  const options = {
    // Finer than the clock that every engine has: steps take microseconds.
    now: () => performance.now(),
    ...(memory === undefined ? {} : { memoryLimit: memory }),
  };
  const executable = await load(program, opened, options);
  return { ...made, program, executable, loaded: { executable, opened } };
}

/** Whether a program was made for values like these; further values are free. */
export function fits({ fixed, shaped }: Prepared, values: ReadonlyMap<string, OnnxValue>): boolean {
  const sameValues = [...fixed].every(([name, value]) => isEqual(value, values.get(name)));
  return sameValues && [...shaped].every(([name, text]) => shapeText(values.get(name)) === text);
}

function shapeText(value: OnnxValue | null | undefined): string {
  switch (value?.kind) {
    case 'tensor':
      return `[${value.tensor.shape.join(',')}]`;
    case 'sequence':
      return `(${value.elements.map(shapeText).join('')})`;
    case 'optional':
      return `?${shapeText(value.value)}`;
    default:
      return '';
  }
}

/** Inputs that are sequences or optionals count by their structure and sizes. */
function isEqual(left: OnnxValue, right: OnnxValue | undefined): boolean {
  if (left.kind !== 'tensor' || right?.kind !== 'tensor') {
    return shapeText(left) === shapeText(right);
  }
  return sameTensor(left.tensor, right.tensor);
}

function sameTensor(left: HostTensor, right: HostTensor): boolean {
  if (left.dtype !== right.dtype || left.shape.join() !== right.shape.join()) return false;
  const count = elementCount(left.shape);
  for (let i = 0; i < count; i++) if (!Object.is(left.data[i], right.data[i])) return false;
  return true;
}

/** Shapes of inputs that have sizes without a name, where `input.axis` gives all of those. */
export function factsForSizes(proto: ModelProto, sizes: Sizes): ReadonlyMap<string, InputFacts> {
  const facts = new Map<string, InputFacts>();
  for (const info of givenInputs(proto)) {
    const { name, kind, shape } = portOf(info, sizes);
    const isNamed = shape?.some((_, axis) => Object.hasOwn(sizes, `${name}.${axis}`)) === true;
    if (kind !== 'tensor' || !isNamed || !isKnown(shape)) continue;
    facts.set(name, { kind: 'tensor', shape });
  }
  return facts;
}

const isKnown = (shape: readonly unknown[] | undefined): shape is readonly number[] =>
  shape?.every((size) => typeof size === 'number') === true;
