/** Whether a measured model computes the right numbers. */

import { compareBounded } from '@open-claw/conformance';
import type { HostTensor } from '@open-claw/core/face';
import {
  constant,
  elementCount,
  type Graph,
  gather,
  graphOf,
  hostTensor,
  interpret,
  interpretWithBounds,
  matmul,
  type Node,
  readElement,
} from '@open-claw/core/internal';

export interface Checked {
  /** How: the whole by the interpreter, sampled elements in f64, or not at all. */
  readonly checked: 'interpreter' | 'sampled' | 'none';
  readonly maxError: number | null;
  /** Empty where all is within the bounds. */
  readonly reason: string;
}

/** Above this the interpreter would take longer than the measurement is worth. */
const mostInterpreted = 3e8;

export function checkOutputs(
  graph: Graph,
  inputs: readonly HostTensor[],
  outputs: readonly HostTensor[],
  flops: number,
): Checked {
  if (flops <= mostInterpreted) {
    return summary(
      'interpreter',
      interpretWithBounds(graph, inputs).map((expected, i) => compareBounded(outputs[i], expected)),
    );
  }
  const samples = sampledProduct(graph, inputs, outputs);
  return samples ?? { checked: 'none', maxError: null, reason: '' };
}

function summary(
  checked: Checked['checked'],
  parts: readonly { readonly reason: string; readonly maxError: number }[],
): Checked {
  const maxError = Math.max(0, ...parts.map((part) => part.maxError));
  const reason = parts.find((part) => part.reason !== '')?.reason ?? '';
  return { checked, maxError, reason };
}

/** Rows and columns of a large product, computed by the interpreter (in f64). */
function sampledProduct(
  graph: Graph,
  inputs: readonly HostTensor[],
  outputs: readonly HostTensor[],
): Checked | undefined {
  const [output] = graph.outputs;
  const [actual] = outputs;
  if (graph.outputs.length !== 1 || output === undefined || actual === undefined) return undefined;
  const operands = plainOperands(output);
  if (operands === undefined || actual.shape.length !== 2) return undefined;
  const [rows, columns] = actual.shape as [number, number];
  const chosenRows = spread(rows);
  const chosenColumns = spread(columns);
  const values = interpret(graphOf(graph.inputs as readonly Node[], [...operands]), inputs);
  const [a, b] = values as [HostTensor, HostTensor];
  const pick = (tensor: HostTensor, at: readonly number[], axis: number): Node =>
    gather(constant(tensor), constant(hostTensor('i64', [at.length], at.map(BigInt))), axis);
  const sampled = graphOf([], [matmul(pick(a, chosenRows, 0), pick(b, chosenColumns, 1))]);
  const expected = interpretWithBounds(sampled, []);
  const numbers = chosenRows.flatMap((row) =>
    chosenColumns.map((column) => readElement(actual, row * columns + column)),
  );
  const shape = [chosenRows.length, chosenColumns.length];
  const given = hostTensor(actual.dtype, shape, numbers);
  return summary('sampled', [compareBounded(given, expected[0] as (typeof expected)[number])]);
}

/** Both operands where the output is a plain product of matrices. */
function plainOperands(output: Node): readonly [Node, Node] | undefined {
  let at = output;
  while (at.op === 'reshape' && sameCount(at, at.inputs[0])) at = at.inputs[0] as Node;
  if (at.op !== 'contract') return undefined;
  const [a, b] = at.inputs as [Node, Node];
  const { batch, contracted } = at.attributes;
  const isPlain = batch.length === 0 && contracted.length === 1 && String(contracted[0]) === '1,0';
  return isPlain && a.shape.length === 2 && b.shape.length === 2 ? [a, b] : undefined;
}

const sameCount = (a: Node, b: Node | undefined): boolean =>
  b !== undefined &&
  [...a.shape, ...b.shape].every((size) => typeof size === 'number') &&
  elementCount(a.shape as readonly number[]) === elementCount(b.shape as readonly number[]);

/** At most 24 indices over an axis, both ends among them. */
function spread(size: number): readonly number[] {
  const count = Math.min(size, 24);
  const step = count === 1 ? 0 : (size - 1) / (count - 1);
  return Array.from({ length: count }, (_, i) => Math.round(i * step));
}
