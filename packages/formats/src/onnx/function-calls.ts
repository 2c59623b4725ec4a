/** Calls between model-local functions: refuses recursion and explosive expansion. */
import { failure } from '../base/core.js';
import { shortName } from '../base/text.js';
import { type FunctionProto, type ModelProto, type NodeProto, normalizeDomain } from './model.js';

/** Identity of a function as one string. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([normalizeDomain(domain), name, overload]);
}

/** Nodes of a body, those in subgraphs included, and how often each function is called from it. */
interface Body {
  readonly nodes: number;
  readonly calls: ReadonlyMap<string, number>;
}

function bodyOf(nodes: readonly NodeProto[], functions: ReadonlyMap<string, FunctionProto>): Body {
  const calls = new Map<string, number>();
  const open = [nodes];
  let count = 0;
  for (let list = open.pop(); list !== undefined; list = open.pop()) {
    count += list.length;
    for (const node of list) {
      const key = functionKey(node.domain, node.opType, node.overload);
      if (functions.has(key)) calls.set(key, (calls.get(key) ?? 0) + 1);
      for (const attribute of node.attributes) {
        if (attribute.kind === 'graph') open.push(attribute.value.nodes);
        if (attribute.kind === 'graphs')
          for (const graph of attribute.value) open.push(graph.nodes);
      }
    }
  }
  return { nodes: count, calls };
}

/**
 * Errors: OC-ONNX-23 when a function reaches itself, also through subgraphs; OC-ONNX-31 when the
 * model with all calls written out has more than `limit` nodes: a chain of doublings is short.
 */
export function checkFunctionCalls(
  model: ModelProto,
  functions: ReadonlyMap<string, FunctionProto>,
  limit: number,
  file: string,
): void {
  const bodies = new Map<string, Body>();
  for (const [key, each] of functions) bodies.set(key, bodyOf(each.nodes, functions));
  const sizes = new Map<string, number>();
  const total = (body: Body): number => {
    let sum = body.nodes;
    for (const [key, times] of body.calls) sum += times * (sizes.get(key) as number);
    return sum;
  };
  const inProgress = new Set<string>();
  // An own stack: a chain of calls may be longer than the call stack of the host.
  const stack: { readonly key: string; readonly callees: Iterator<string> }[] = [];
  const enter = (key: string): void => {
    inProgress.add(key);
    stack.push({ key, callees: (bodies.get(key) as Body).calls.keys() });
  };
  for (const start of functions.keys()) {
    if (!sizes.has(start)) enter(start);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.callees.next();
      if (next.done === true) {
        sizes.set(top.key, total(bodies.get(top.key) as Body));
        inProgress.delete(top.key);
        stack.pop();
      } else if (inProgress.has(next.value)) {
        const name = shortName(functions.get(next.value)?.name ?? '');
        throw failure('OC-ONNX-23', { name }, { where: file });
      } else if (!sizes.has(next.value)) enter(next.value);
    }
  }
  if (total(bodyOf(model.graph.nodes, functions)) > limit) {
    throw failure('OC-ONNX-31', { limit }, { where: file });
  }
}
