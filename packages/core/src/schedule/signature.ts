/**
 * Signatures: text that is equal for steps that compute the same thing on different values, so
 * that the layers of a model share their kernels.
 */
import { keyOf, type Size } from '../base/expression.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from './step.js';

export interface Signature {
  readonly text: string;
  /** Every node of the step by its number in the text. */
  readonly nodes: readonly Node[];
}

const objectIds = new WeakMap<object, number>();
let nextObject = 1;

function objectId(value: object): number {
  const id = objectIds.get(value) ?? nextObject++;
  objectIds.set(value, id);
  return id;
}

/** Nodes are numbered in the order of a walk from the outputs, which equal steps share. */
export function signatureOf(step: KernelStep): Signature {
  const given = new Map(step.inputs.map((node, i) => [node, i]));
  const numbers = new Map<Node, number>();
  const nodes: Node[] = [];
  const parts: string[] = [step.pattern];
  const write = (node: Node): void => {
    const inside = !given.has(node);
    numbers.set(node, nodes.length);
    nodes.push(node);
    const inputs = inside ? node.inputs.map((input) => numbers.get(input)).join(',') : 'in';
    const detail = inside ? `${node.op}${attributeText(attributesOf(node))}` : kindText(node);
    parts.push(`${detail}(${inputs})${node.dtype}[${node.shape.map(keyOf).join(',')}]`);
  };
  for (const output of step.outputs) {
    const stack = [{ node: output, next: 0 }];
    const open = new Set<Node>([output]);
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as (typeof stack)[number];
      const child = given.has(top.node) ? undefined : top.node.inputs[top.next++];
      if (child === undefined) {
        stack.pop();
        if (!numbers.has(top.node)) write(top.node);
      } else if (!numbers.has(child) && !open.has(child)) {
        open.add(child);
        stack.push({ node: child, next: 0 });
      }
    }
  }
  const ends = [step.anchor, ...step.outputs].map((node) => numbers.get(node)).join(',');
  // Order of the inputs is the order of the kernel's bindings.
  const order = step.inputs.map((node) => numbers.get(node)).join(',');
  const over = step.over?.map((node) => node && numbers.get(node)).join(',') ?? '';
  return { text: `${parts.join(';')}>${ends}<${order}|${over}`, nodes };
}

/** A composite's body follows from its name, its parameters and its inputs. */
function attributesOf(node: Node): unknown {
  if (node.op !== 'composite') return node.attributes;
  const { name, parameters } = node.attributes;
  return { name, parameters };
}

/** What an input is, as far as lowering asks: a constant can be packed once. */
function kindText(node: Node): string {
  if (node.op === 'constant') return 'constant';
  return node.op === 'reshape' || node.op === 'bitcast' ? `${node.op}` : 'value';
}

function attributeText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(attributeText).join(',')}]`;
  if ('terms' in value && 'key' in value) return keyOf(value as Size);
  if (ArrayBuffer.isView(value) || 'data' in value || 'outputs' in value) {
    return `#${objectId(value)}`;
  }
  const members = Object.entries(value).map(([name, member]) => `${name}:${attributeText(member)}`);
  return `{${members.join(',')}}`;
}
