/** Steps as text, for `explain --stage schedule`. */
import { printExpression, type Size } from '../base/expression.js';
import type { Node } from '../graph/node.js';
import type { KernelStep, Step } from './step.js';

const shapeText = (shape: readonly Size[]): string => `[${shape.map(printExpression).join(',')}]`;

const valueText = (node: Node): string => `%${node.id} ${node.dtype}${shapeText(node.shape)}`;

/** One line per step; kernels name the operations they fuse. */
export function printSteps(steps: readonly Step[]): string {
  return steps.map((step, i) => `${String(i).padStart(4)}  ${stepText(step)}`).join('\n');
}

function stepText(step: Step): string {
  switch (step.kind) {
    case 'kernel': {
      const outputs = step.outputs.map(valueText).join(', ');
      const inputs = step.inputs.map(valueText).join(', ');
      return `${step.pattern} ${outputs} = ${fusedOps(step).join(' ')} (${inputs})`.concat(
        overText(step),
      );
    }
    case 'host':
      return `host ${step.nodes.map((node) => `${valueText(node)} = ${node.op}`).join(', ')}`;
    case 'download':
    case 'upload':
      return `${step.kind} ${valueText(step.node)}`;
    case 'bind':
      return `bind ${step.symbol} = %${step.node.id}[${step.index}]`;
    case 'operator': {
      const inputs = step.node.inputs.map(valueText).join(', ');
      return `operator ${step.outputs.map(valueText).join(', ')} (${inputs})`;
    }
    case 'region': {
      const inputs = step.node.inputs.map(valueText).join(', ');
      const outputs = step.outputs.map(valueText).join(', ');
      return `${step.node.op} ${outputs} (${inputs})${overText(step)}`;
    }
  }
}

const overText = ({ over }: Pick<KernelStep, 'over'>): string => {
  const names = over?.flatMap((node) => (node === undefined ? [] : [`%${node.id}`])) ?? [];
  return names.length === 0 ? '' : ` over ${names.join(', ')}`;
};

/** Names of the operations inside a kernel, inputs first. */
function fusedOps(step: KernelStep): readonly string[] {
  const inside = new Map<number, string>();
  const given = new Set(step.inputs);
  const stack = [...step.outputs];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (inside.has(node.id) || given.has(node) || node.op === 'constant') continue;
    inside.set(node.id, node.op);
    stack.push(...node.inputs);
  }
  return [...inside].sort(([a], [b]) => a - b).map(([, op]) => op);
}
