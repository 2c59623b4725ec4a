/** Rules of regions: open what is decided, pass and return only what is used. */
import { part } from './build-indexed.js';
import { unsqueeze } from './build-views.js';
import { graphOf } from './graph-of.js';
import { make } from './make.js';
import { type Attributes, type Graph, isOp, type Node, type OpName } from './node.js';
import { inline, optionsOf, type Replacement } from './rewrite.js';
import { inputOf, uniformValue } from './simplify-match.js';
import { bodiesOf } from './symbols.js';
import { nodesFrom, nodesOf } from './traverse.js';

/** Which results of nodes with bodies are used, by node. */
export function usedResults(graph: Graph): ReadonlyMap<Node, ReadonlySet<number>> {
  const used = new Map<Node, Set<number>>();
  for (const node of nodesOf(graph)) {
    if (node.op !== 'part') continue;
    const source = inputOf(node, 0);
    if (bodiesOf(source).length === 0) continue;
    const known = used.get(source);
    if (known === undefined) used.set(source, new Set([node.attributes.index]));
    else known.add(node.attributes.index);
  }
  return used;
}

function withBodies(node: Node, inputs: readonly Node[], bodies: readonly Graph[]): Node {
  const [first, second] = bodies as readonly [Graph, Graph];
  const attributes =
    node.op === 'if' ? { then: first, else: second } : { ...node.attributes, body: first };
  return make(node.op, inputs, attributes as Attributes[OpName]);
}

/** A branch or body whose condition or count is known. */
function opened(node: Node): readonly Node[] | undefined {
  if (isOp(node, 'if')) {
    const known = uniformValue(inputOf(node, 0));
    if (known === undefined) return undefined;
    return inline(known ? node.attributes.then : node.attributes.else, node.inputs.slice(1));
  }
  if (isOp(node, 'loop') && node.attributes.trip === 1) {
    const { body, carried } = node.attributes;
    const results = inline(body, node.inputs, 0);
    return results.map((value, i) => (i < carried ? value : unsqueeze(value, [0])));
  }
  return undefined;
}

/** Inputs of a body that anything inside uses. */
function usedInputs(body: Graph): ReadonlySet<Node> {
  const sources = [...body.symbols.values()].flatMap((source) =>
    source.from === 'element' ? [source.node] : [],
  );
  const reached = new Set(nodesFrom([...body.outputs, ...sources], body.symbols));
  return new Set((body.inputs as readonly Node[]).filter((node) => reached.has(node)));
}

const pick = (values: readonly Node[], places: readonly number[]): readonly Node[] =>
  places.map((place) => values[place] as Node);

function rebodied(body: Graph, inputs: readonly Node[], outputs: readonly Node[]): Graph {
  return graphOf(inputs, outputs, body.requirements, { ...optionsOf(body), region: true });
}

/** First places of inputs and of body outputs that may never be dropped. */
function fixedPlaces(node: Node): { inputs: number; outputs: number; skip: number } | undefined {
  if (isOp(node, 'if')) return { inputs: 0, outputs: 0, skip: 1 };
  if (isOp(node, 'loop')) {
    const { carried } = node.attributes;
    return { inputs: carried, outputs: carried, skip: 0 };
  }
  if (isOp(node, 'while')) {
    const { carried } = node.attributes;
    return { inputs: carried, outputs: carried + 1, skip: 1 };
  }
  return undefined;
}

const indices = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Captures, invariants and stacked results that nobody uses are left out. */
function pruned(node: Node, used: ReadonlySet<number> | undefined): Replacement | undefined {
  const fixed = fixedPlaces(node);
  const bodies = bodiesOf(node);
  const [body] = bodies;
  if (fixed === undefined || body === undefined || used === undefined) return undefined;
  // A `while` lists its go-on value before the results.
  const shift = isOp(node, 'while') ? 1 : 0;
  const outputs = indices(body.outputs.length).filter(
    (i) => i < fixed.outputs || used.has(i - shift),
  );
  const trimmed = bodies.map((b) =>
    rebodied(b, b.inputs as readonly Node[], pick(b.outputs, outputs)),
  );
  const needed = trimmed.map(usedInputs);
  const inputs = indices(body.inputs.length).filter(
    (i) =>
      i < fixed.inputs ||
      trimmed.some((b, at) => needed[at]?.has(b.inputs[i] as unknown as Node) === true),
  );
  if (outputs.length === body.outputs.length && inputs.length === body.inputs.length) {
    return undefined;
  }
  if (outputs.length === 0) return undefined;
  const given = [
    ...node.inputs.slice(0, fixed.skip),
    ...pick(node.inputs.slice(fixed.skip), inputs),
  ];
  const made = withBodies(
    node,
    given,
    trimmed.map((b) => rebodied(b, pick(b.inputs as readonly Node[], inputs), b.outputs)),
  );
  const places = outputs.map((i) => i - shift).filter((i) => i >= 0);
  // The count of a `while` follows its last result.
  if (shift === 1) places.push(node.results.length - 1);
  const nothing = part(made, 0);
  return node.results.map((_, i) => {
    const place = places.indexOf(i);
    return place < 0 ? nothing : part(made, place);
  });
}

/** Constants that bodies are given are constants inside, so that kernels there may lay them out. */
function withConstants(node: Node): Node {
  const fixed = fixedPlaces(node);
  if (fixed === undefined) return node;
  const given = node.inputs.slice(fixed.skip);
  const isKnown = (i: number): boolean => i >= fixed.inputs && given[i]?.op === 'constant';
  if (!given.some((_, i) => isKnown(i))) return node;
  const bodies = bodiesOf(node).map((body) => {
    const inputs = body.inputs as readonly Node[];
    const needed = usedInputs(body);
    const values = inputs.map((x, i) => (needed.has(x) && isKnown(i) ? (given[i] as Node) : x));
    if (values.every((value, i) => value === inputs[i])) return body;
    return rebodied(body, inputs, inline(body, values));
  });
  return bodies.every((body, i) => body === bodiesOf(node)[i])
    ? node
    : withBodies(node, node.inputs, bodies);
}

/** What shall stand for a node with several results or bodies; undefined keeps it. */
export function simplifyRegion(
  node: Node,
  used: ReadonlySet<number> | undefined,
  simplifyBody: (body: Graph) => Graph,
): Replacement | undefined {
  const bodies = bodiesOf(node);
  if (bodies.length === 0) return undefined;
  const open = opened(node);
  if (open !== undefined) return open;
  const simpler = bodies.map(simplifyBody);
  const changed = simpler.some((body, i) => body !== bodies[i]);
  const rebuilt = withConstants(changed ? withBodies(node, node.inputs, simpler) : node);
  return pruned(rebuilt, used) ?? (rebuilt === node ? undefined : rebuilt);
}
