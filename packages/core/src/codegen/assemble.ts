/** From steps to a procedure: gives every value a buffer, and every kernel its launch. */
import { bytesOf } from '../base/dtype.js';
import { multiply, product } from '../base/expression.js';
import type { Graph, Node } from '../graph/node.js';
import { stepKey } from '../kernel/candidates.js';
import type { LoweredKernel, Workspace } from '../kernel/lowered.js';
import type { TileProgram } from '../kernel/tile.js';
import { windowsOf } from '../kernel/windows.js';
import { type InPlaceOptions, overwriteOf } from '../schedule/in-place.js';
import type { KernelStep, OperatorStep, RegionStep, Step } from '../schedule/step.js';
import { memoryRoot } from '../schedule/views.js';
import type { KernelTable } from './kernel-table.js';
import { inputShapes, type Override, overrideOf } from './override.js';
import type { Buffer, LaunchStep, Procedure, ProgramStep, Result } from './program.js';

type Draft = { -readonly [Key in keyof Buffer]: Buffer[Key] };

export interface AssembleOptions {
  readonly overrides: readonly Override[];
  /** A region's body: its inputs are in device memory. */
  readonly body: boolean;
  /** The procedure of a region's body. */
  readonly inner: (graph: Graph, inPlace: InPlaceOptions) => Procedure;
}

export function assemble(
  graph: Graph,
  steps: readonly Step[],
  table: KernelTable,
  { body, inner, overrides }: AssembleOptions,
): Procedure {
  const buffers: Draft[] = [];
  const byNode = new Map<Node, Draft>();
  const made: ProgramStep[] = [];
  const once: LaunchStep[] = [];
  const touch = (draft: Draft): number => {
    draft.first = Math.min(draft.first, made.length);
    draft.last = Math.max(draft.last, made.length);
    return draft.id;
  };
  const add = (fields: Omit<Draft, 'id' | 'first' | 'last'>): Draft => {
    const draft = { ...fields, id: buffers.length, first: made.length, last: made.length };
    buffers.push(draft);
    return draft;
  };
  const draftOf = (value: Node): Draft => {
    const node = memoryRoot(value);
    const seen = byNode.get(node);
    if (seen !== undefined) return seen;
    const { dtype, shape } = node;
    const bytes = multiply(bytesOf(dtype), product(shape));
    const role = node.op === 'input' ? 'input' : node.op === 'constant' ? 'constant' : 'temporary';
    const draft = add({ dtype, shape, bytes, role });
    if (node.op === 'constant') draft.tensor = node.attributes.tensor;
    if (node.op === 'input') draft.first = 0;
    byNode.set(node, draft);
    return draft;
  };
  const bufferOf = (node: Node): number => touch(draftOf(node));
  const overwritten = new Set<Draft>();
  const share = ({ outputs, over }: KernelStep | RegionStep): void => {
    over?.forEach((input, i) => {
      if (input === undefined) return;
      const draft = draftOf(input);
      byNode.set(outputs[i] as Node, draft);
      if (draft.role === 'input') overwritten.add(draft);
    });
  };

  const launches = (step: KernelStep): void => {
    const operator = table.operator(operatorName(step));
    const key = stepKey(step);
    const spaces = new Map<number, Draft>();
    const bind = (argument: Node | Workspace): Draft => {
      if ('op' in argument) return draftOf(argument);
      const role = argument.constant ? 'once' : 'temporary';
      const { bytes } = argument;
      const draft = spaces.get(argument.id) ?? add({ dtype: 'u8', shape: [bytes], bytes, role });
      spaces.set(argument.id, draft);
      return draft;
    };
    for (const kernel of table.kernelsOf(step, operator)) {
      const bound = kernel.arguments.map((a) => touch(bind(a)));
      const launch = { ...launchOf(kernel, operator, bound), key };
      (kernel.once ? once : made).push(launch);
    }
  };
  const region = (step: RegionStep): void => {
    const { node } = step;
    const shared = {
      kind: 'region' as const,
      inputs: node.inputs.map(bufferOf),
      outputs: step.outputs.map(bufferOf),
      operator: table.operator(node.op),
    };
    if (node.op === 'if') {
      const kept = overwriteOf(node);
      const { then: yes, else: no } = node.attributes;
      const branches = { then: inner(yes, kept), else: inner(no, kept) };
      made.push({ ...shared, op: 'if', ...branches });
      return;
    }
    const { carried, iteration, body: graphOfBody } = node.attributes;
    const innerBody = inner(graphOfBody, overwriteOf(node));
    const first = node.op === 'while' ? 1 : 0;
    const spare = step.outputs.slice(0, carried).map((output, i) => {
      const result = innerBody.results[i + first]?.buffer;
      const stays = result !== undefined && result === innerBody.parameters[i]?.buffer;
      if (stays) return undefined;
      const { dtype, shape, bytes } = draftOf(output);
      return touch(add({ dtype, shape, bytes, role: 'temporary' }));
    });
    const trip = node.op === 'loop' ? node.attributes.trip : node.attributes.limit;
    const loop = { trip, carried, iteration, spare, body: innerBody };
    made.push({ ...shared, op: node.op, ...loop });
  };

  const operator = ({ node, outputs }: OperatorStep): void => {
    const { name, parameters } = node.attributes;
    const shapes = inputShapes(node) ?? [];
    const bytes = overrideOf(node, overrides)?.workspaceBytes(shapes, parameters) ?? 0;
    const [from, to] = [node.inputs.map(bufferOf), outputs.map(bufferOf)];
    const shape = { dtype: 'u8' as const, shape: [bytes], bytes, role: 'temporary' as const };
    const space = bytes > 0 ? [touch(add(shape))] : [];
    made.push({
      kind: 'operator',
      name,
      buffers: [...from, ...to, ...space],
      access: [
        ...from.map(() => 'read' as const),
        ...to.map(() => 'write' as const),
        ...space.map(() => 'readWrite' as const),
      ],
      sizes: shapes.flat(),
      parameters,
    });
  };

  for (const step of steps) {
    if (step.kind === 'kernel' || step.kind === 'region') share(step);
    if (step.kind === 'kernel') launches(step);
    else if (step.kind === 'region') region(step);
    else if (step.kind === 'operator') operator(step);
    else if (step.kind === 'host' || step.kind === 'bind') made.push(step);
    else made.push({ kind: step.kind, buffer: bufferOf(step.node), node: step.node });
  }
  const hostNodes = new Set<Node>();
  for (const step of steps) if (step.kind === 'host') for (const n of step.nodes) hostNodes.add(n);
  const results = graph.outputs.map((node): Result => {
    const root = memoryRoot(node);
    const given = !body && (root.op === 'input' || root.op === 'constant');
    const { dtype, shape } = node;
    if (hostNodes.has(node)) return { dtype, shape, host: node };
    return given ? { dtype, shape, host: root } : { dtype, shape, buffer: bufferOf(node) };
  });
  const parameters = graph.inputs.map((input) => {
    const draft = byNode.get(input as Node);
    const { dtype, shape, attributes } = input;
    const parameter = { name: attributes.name, node: input as Node, dtype, shape };
    if (draft === undefined) return parameter;
    const { id: buffer } = draft;
    return {
      ...parameter,
      buffer,
      ...(overwritten.has(draft) ? { overwritten: true as const } : {}),
    };
  });
  const { symbols, requirements } = graph;
  return { parameters, results, symbols, requirements, buffers, steps: made, once };
}

function launchOf(
  { program, once, flops, bytes }: LoweredKernel,
  operator: number,
  buffers: readonly number[],
): LaunchStep {
  return {
    kind: 'launch',
    entry: program.name,
    buffers,
    access: program.buffers.slice(0, buffers.length).map(({ access }) => access),
    windows: windowsOf(program).slice(0, buffers.length),
    mayFail: program.mayFail,
    grid: program.grid.map((axis) => axis.extent),
    sizes: program.sizes,
    flops,
    bytes,
    operator,
    ...(once ? { layout: textOf(program) } : {}),
  };
}

const texts = new WeakMap<TileProgram, string>();

/** A tile program as text, without its name. */
function textOf(program: TileProgram): string {
  const exact = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))
      ? `${typeof value} ${value}`
      : Object.is(value, -0)
        ? 'minus zero'
        : value;
  const text = texts.get(program) ?? JSON.stringify({ ...program, name: '' }, exact);
  texts.set(program, text);
  return text;
}

/** The step's operation for people: the anchor, or the dearest node of a map. */
function operatorName(step: KernelStep): string {
  if (step.pattern !== 'map') return step.pattern === 'reduction' ? 'reduce' : step.pattern;
  const inputs = new Set(step.inputs);
  const seen = new Set<Node>();
  const names = new Set<string>();
  const stack = [...step.outputs];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node) || inputs.has(node)) continue;
    seen.add(node);
    names.add(node.op);
    stack.push(...node.inputs);
  }
  const failing = ['gather', 'divide', 'remainder'].filter((name) => names.has(name));
  return failing.length > 0 ? failing.join('+') : step.anchor.op;
}
