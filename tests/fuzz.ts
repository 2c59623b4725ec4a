/**
 * Fuzzing: random programs on a device against the interpreter, within the bounds of the op
 * table, and what fails made small.
 */
import {
  type Attributes,
  type Graph,
  graphOf,
  type HostTensor,
  hostTensor,
  input,
  interpret,
  interpretWithBounds,
  isFailure,
  make,
  type Node,
  nodesOf,
  type OpName,
  printGraph,
  type RandomOptions,
  type RandomProgram,
  randomProgram,
  type Size,
  sizeSymbol,
  valuesOf,
} from '@open-claw/core/internal';

/** A device as fuzzing sees it. */
export type RunGraph = (
  graph: Graph,
  inputs: readonly HostTensor[],
) => Promise<readonly HostTensor[]> | readonly HostTensor[];

export interface FuzzOptions {
  readonly run: RunGraph;
  readonly count: number;
  /** Programs have the seeds first, first + 1, …; 0 unless given. */
  readonly first?: number;
  readonly program?: RandomOptions;
  /** Most programs that are tried while a failing one is made small. */
  readonly shrinkSteps?: number;
  /** Failing programs after which to stop; 1 unless given. */
  readonly mostFailures?: number;
}

export interface FuzzReport {
  readonly passed: number;
  /** Programs that the device refused by name, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  readonly failures: readonly FuzzFailure[];
}

export interface FuzzFailure {
  readonly seed: number;
  readonly program: RandomProgram;
  readonly reason: string;
  /** Graph, inputs and the difference, for people. */
  readonly text: string;
}

type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** Runs `count` programs; stops after some failures, each made small. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const first = options.first ?? 0;
  const refused = new Map<string, number>();
  const failures: FuzzFailure[] = [];
  let passed = 0;
  for (let seed = first; seed < first + options.count; seed++) {
    const concrete = randomProgram(seed, options.program);
    const program = seed % 3 === 0 ? withSymbol(concrete) : concrete;
    const outcome = await tryProgram(program, options.run);
    if (outcome.kind === 'passed') passed++;
    else if (outcome.kind === 'refused') {
      refused.set(outcome.reason, (refused.get(outcome.reason) ?? 0) + 1);
    } else {
      failures.push(await madeSmall(seed, program, outcome.reason, options));
      if (failures.length >= (options.mostFailures ?? 1)) break;
    }
  }
  return { passed, refused, failures };
}

async function madeSmall(
  seed: number,
  program: RandomProgram,
  found: string,
  { run, shrinkSteps }: FuzzOptions,
): Promise<FuzzFailure> {
  const small = await shrink(program, run, kindOf(found), shrinkSteps ?? 400);
  const last = await tryProgram(small, run);
  const reason = last.kind === 'failed' ? last.reason : found;
  return { seed, program: small, reason, text: describe(small, reason, seed) };
}

function describe({ graph, inputs }: RandomProgram, reason: string, seed: number): string {
  const shown = inputs.map((tensor, i) => {
    const values = valuesOf(tensor).slice(0, 16).map(String).join(', ');
    return `input ${i}: ${tensor.dtype}[${tensor.shape.join(',')}] ${values}`;
  });
  return [`seed ${seed}: ${reason}`, printGraph(graph), ...shown].join('\n');
}

async function tryProgram({ graph, inputs }: RandomProgram, run: RunGraph): Promise<Outcome> {
  const expected = interpretWithBounds(graph, inputs);
  let actual: readonly HostTensor[];
  try {
    actual = await run(graph, inputs);
  } catch (error) {
    if (isFailure(error) && error.kind === 'refused')
      return { kind: 'refused', reason: error.what };
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
  for (const [i, { tensor, error }] of expected.entries()) {
    const reason = difference(actual[i], tensor, error);
    if (reason !== undefined) return { kind: 'failed', reason: `output ${i}: ${reason}` };
  }
  return { kind: 'passed' };
}

/** Why a result is not within its bound; undefined where it is. */
export function difference(
  actual: HostTensor | undefined,
  expected: HostTensor,
  error: Float64Array,
): string | undefined {
  if (actual === undefined) return 'nothing came back';
  const type = ({ dtype, shape }: HostTensor): string => `${dtype}[${shape.join(',')}]`;
  if (type(actual) !== type(expected)) return `${type(actual)} instead of ${type(expected)}`;
  const wanted = valuesOf(expected);
  const given = valuesOf(actual);
  for (const [i, want] of wanted.entries()) {
    const have = given[i]!;
    if (have === want || (Number.isNaN(have) && Number.isNaN(want))) continue;
    const bound = error[i]!;
    if (Number.isNaN(bound) || Math.abs(Number(have) - Number(want)) <= bound) continue;
    return `element ${i}: ${have} instead of ${want} ± ${bound}`;
  }
  return undefined;
}

/** The error's code, or that numbers differ: a smaller program must fail in the same way. */
const kindOf = (reason: string): string => /^OC-[A-Z]+-\d+/.exec(reason)?.[0] ?? 'different';

/** A smaller program that fails too, by fewer outputs, fewer nodes and smaller sizes. */
async function shrink(
  program: RandomProgram,
  run: RunGraph,
  kind: string,
  steps: number,
): Promise<RandomProgram> {
  let best = program;
  let left = steps;
  for (let found = true; found; ) {
    found = false;
    for (const candidate of smaller(best)) {
      if (left-- <= 0) return best;
      if (!(await fails(candidate, run, kind))) continue;
      best = candidate;
      found = true;
      break;
    }
  }
  return best;
}

async function fails(program: RandomProgram, run: RunGraph, kind: string): Promise<boolean> {
  try {
    const outcome = await tryProgram(program, run);
    return outcome.kind === 'failed' && kindOf(outcome.reason) === kind;
  } catch {
    return false; // The interpreter itself refuses it: no valid program.
  }
}

/** Their results are used through `part` only. */
const inParts: ReadonlySet<OpName> = new Set([
  'sort',
  'compact',
  'if',
  'loop',
  'while',
  'composite',
]);

function* smaller(program: RandomProgram): Generator<RandomProgram> {
  const { graph } = program;
  if (graph.outputs.length > 1) {
    for (const output of graph.outputs) yield withOutputs(program, [output]);
  }
  const nodes = nodesOf(graph).filter(({ op }) => op !== 'input' && !inParts.has(op));
  for (const node of nodes) {
    if (!graph.outputs.includes(node)) yield withOutputs(program, [node]);
  }
  for (const node of [...nodes].reverse()) {
    if (graph.outputs.includes(node) || node.op === 'constant') continue;
    yield cut(program, node);
  }
  const sizes = numericSizes(graph);
  for (const from of [...new Set(sizes)].sort((a, b) => b - a)) {
    for (const to of [1, 2, 3, 4, 8, 16, from - 1]) {
      const made = to < from && to > 0 ? resize(program, from, to) : undefined;
      if (made !== undefined) yield made;
    }
  }
}

function withOutputs({ graph, inputs }: RandomProgram, outputs: readonly Node[]): RandomProgram {
  const needed = new Set(nodesOf({ ...graph, inputs: [], outputs }));
  // An input that nothing reads may still give the symbol its number.
  const gives = (i: number): boolean =>
    graph.inputs[i]!.shape.some((size) => typeof size !== 'number');
  const places = graph.inputs.map((_, i) => i);
  const read = places.filter((i) => needed.has(graph.inputs[i] as Node));
  const giver = read.some(gives) ? undefined : places.find(gives);
  const kept = giver === undefined ? read : [giver, ...read];
  return {
    graph: graphOf(
      kept.map((i) => graph.inputs[i] as Node),
      outputs,
    ),
    inputs: kept.map((i) => inputs[i]!),
  };
}

/** The program with a node's value given from outside. */
function cut({ graph, inputs }: RandomProgram, node: Node): RandomProgram {
  const [value] = interpret(graphOf(graph.inputs as readonly Node[], [node]), inputs);
  const given = input(`x${graph.inputs.length}`, { dtype: node.dtype, shape: node.shape });
  const outputs = rebuild(graph, new Map([[node, given]]), (attributes) => attributes);
  const whole = graphOf([...(graph.inputs as readonly Node[]), given], outputs);
  return withOutputs({ graph: whole, inputs: [...inputs, value!] }, outputs);
}

/** Rebuilds all outputs with some nodes replaced. */
function rebuild(
  graph: Graph,
  made: Map<Node, Node>,
  change: (attributes: unknown) => unknown,
): Node[] {
  for (const node of nodesOf(graph)) {
    if (made.has(node) || node.op === 'input') continue;
    const inputs = node.inputs.map((value) => made.get(value) ?? value);
    const attributes = change(node.attributes) as Attributes[OpName];
    made.set(node, make(node.op, inputs, attributes));
  }
  return graph.outputs.map((output) => made.get(output) ?? output);
}

const numericSizes = (graph: Graph): readonly number[] =>
  graph.inputs.flatMap((node) => node.shape.filter((size) => typeof size === 'number'));

/** The program with the size that its inputs have most often as a symbol. */
function withSymbol(program: RandomProgram): RandomProgram {
  const sizes = numericSizes(program.graph).filter((size) => size > 1);
  const often = (size: number): number => sizes.filter((other) => other === size).length;
  const [from] = [...sizes].sort((a, b) => often(b) - often(a));
  if (from === undefined) return program;
  return resize(program, from, from, sizeSymbol()) ?? program;
}

/**
 * Every size `from` as `to` (or as a symbol that stands for it), inputs cut to fit; undefined
 * where shapes then disagree.
 */
function resize(
  { graph, inputs }: RandomProgram,
  from: number,
  to: number,
  symbol: Size = to,
): RandomProgram | undefined {
  const size = (value: Size): Size => (value === from ? symbol : value);
  const change = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if ('data' in value || 'symbols' in value) return value;
    const sized = new Set(['shape', 'sizes']);
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        if (sized.has(name) && Array.isArray(member)) return [name, member.map(size)];
        return [name, name === 'type' ? change(member) : member];
      }),
    );
  };
  try {
    const made = new Map<Node, Node>();
    const tensors = inputs.map((tensor) =>
      cutTensor(
        tensor,
        tensor.shape.map((extent) => (extent === from ? to : extent)),
      ),
    );
    graph.inputs.forEach(({ attributes }, i) => {
      const shape = attributes.type.shape.map(size);
      made.set(
        graph.inputs[i] as Node,
        input(attributes.name, { dtype: attributes.type.dtype, shape }),
      );
    });
    const outputs = rebuild(graph, made, change);
    const starts = graph.inputs.map((node) => made.get(node as Node)!);
    return { graph: graphOf(starts, outputs), inputs: tensors };
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/** The first elements of every axis. */
function cutTensor(tensor: HostTensor, shape: readonly number[]): HostTensor {
  if (tensor.shape.every((extent, axis) => extent === shape[axis])) return tensor;
  const values = valuesOf(tensor);
  const count = shape.reduce((product, extent) => product * extent, 1);
  const kept = Array.from({ length: count }, (_, flat) => {
    let [rest, offset, stride] = [flat, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += (rest % shape[axis]!) * stride;
      rest = Math.floor(rest / shape[axis]!);
      stride *= tensor.shape[axis]!;
    }
    return values[offset]!;
  });
  return hostTensor(tensor.dtype, shape, kept);
}
