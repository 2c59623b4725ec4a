/** Checks that a graph keeps every rule that builders promise; used between stages. */
import { internal } from '../base/errors.js';
import { keyOf } from '../base/expression.js';
import { requirementsOf } from './make.js';
import type { Attributes, Graph, Node, OpName, TensorType } from './node.js';
import { opRules, ruleOf } from './ops.js';
import { printType } from './rule.js';
import { bodiesOf, isRegionBody, loneVariable, variablesOfNode } from './symbols.js';
import { nodesOf } from './traverse.js';

const multiple: ReadonlySet<OpName> = new Set([
  'sort',
  'compact',
  'if',
  'loop',
  'while',
  'composite',
]);

const sameTypes = (a: readonly TensorType[], b: readonly TensorType[]): boolean =>
  a.length === b.length && a.every((type, i) => printType(type) === printType(b[i] as TensorType));

/** Throws OC-INTERNAL-01 naming the first broken rule; bodies are checked too, each once. */
export function verify(graph: Graph): void {
  const done = new Set<Graph>();
  const waiting: Graph[] = [graph];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (done.has(next)) continue;
    done.add(next);
    waiting.push(...verifyOne(next));
  }
}

function verifyOne(graph: Graph): Graph[] {
  const order = nodesOf(graph);
  const inside = new Set(order);
  const inputs = new Set<Node>(graph.inputs as readonly Node[]);
  if (inputs.size !== graph.inputs.length) throw internal('an input is listed twice');
  const required = new Set(
    graph.requirements.map((r) => `${r.relation} ${keyOf(r.left)} ${keyOf(r.right)}`),
  );
  const bodies: Graph[] = [];
  for (const node of order) {
    if (node.op === 'input' && !inputs.has(node)) throw internal(`${node.id} comes from outside`);
    verifyNode(node);
    for (const symbol of variablesOfNode(node)) {
      if (!graph.symbols.has(symbol.name)) throw internal(`symbol ${symbol.name} has no source`);
    }
    for (const r of requirementsOf(node)) {
      if (!required.has(`${r.relation} ${keyOf(r.left)} ${keyOf(r.right)}`)) {
        throw internal(`a requirement of ${node.op} ${node.id} is lost: ${r.what}`);
      }
    }
    bodies.push(...bodiesOf(node));
  }
  for (const node of graph.outputs) {
    if (multiple.has(node.op)) throw internal(`output ${node.id} is no part`);
  }
  verifySymbols(graph, inside, inputs);
  return bodies;
}

function verifyNode(node: Node): void {
  if (!Object.isFrozen(node)) throw internal(`node ${node.id} is not frozen`);
  if (!(node.op in opRules)) throw internal(`there is no operation ${node.op}`);
  const rule = ruleOf(node.op);
  const [least, most] = typeof rule.arity === 'number' ? [rule.arity, rule.arity] : rule.arity;
  if (node.inputs.length < least || node.inputs.length > most) {
    throw internal(`${node.op} ${node.id} has ${node.inputs.length} inputs`);
  }
  for (const value of node.inputs) {
    if (value.id >= node.id) throw internal(`${node.op} ${node.id} is older than its input`);
    if (node.op !== 'part' && multiple.has(value.op)) {
      throw internal(`${node.op} ${node.id} uses a node of several results without part`);
    }
  }
  const { results } = rule.infer(node.inputs, node.attributes as Attributes[OpName]);
  if (!sameTypes(results, node.results)) {
    throw internal(`${node.op} ${node.id} has other types than its rule gives`);
  }
}

function verifySymbols(graph: Graph, inside: ReadonlySet<Node>, inputs: ReadonlySet<Node>): void {
  const region = isRegionBody(graph);
  for (const [name, source] of graph.symbols) {
    if (source.from === 'size') {
      const size = source.input.shape[source.axis];
      const symbol = size === undefined ? undefined : loneVariable(size);
      if (!inputs.has(source.input) || symbol?.name !== name) {
        throw internal(`symbol ${name} is not a size of an input`);
      }
    } else if (source.from === 'element') {
      if (!inside.has(source.node)) throw internal(`symbol ${name} comes from outside`);
    } else if (!region) {
      throw internal(`symbol ${name} of a program comes from ${source.from}`);
    }
  }
}
