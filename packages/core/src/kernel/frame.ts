/**
 * The frame around a kernel's code: buffer parameters, index width, grid, sizes. Lowerings write
 * the body through `builder` and hand the rest to `finish`.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import { refused } from '../base/errors.js';
import {
  add,
  type Expression,
  lowerBound,
  multiply,
  product,
  type Size,
  upperBound,
} from '../base/expression.js';
import type { MemoryType, Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { KernelBuilder } from './builder.js';
import { memoryType } from './elementwise.js';
import { freeVariables } from './free-variables.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import type { BufferParameter, GridAxis, Scratch } from './tile.js';

export interface KernelNames {
  /** Name of the kernel: a C identifier made by us. */
  readonly name: string;
  readonly failBase: number;
}

export interface Cost {
  readonly flops: Size;
  readonly bytes: Size;
}

const largest32 = 2 ** 31 - 1;

/**
 * i32 where every element count is provably below 2^31, or where the target has no more. Throws
 * refused where the target cannot count the elements of a node.
 */
export function indexTypeFor(target: Target, nodes: readonly Node[]): 'i32' | 'i64' {
  if (target.indexBits === 64) {
    return nodes.every((node) => upperBound(product(node.shape)) < largest32) ? 'i32' : 'i64';
  }
  for (const node of nodes) {
    const least = lowerBound(product(node.shape));
    if (least <= largest32) continue;
    throw refused(`a tensor of ${least} elements`, `${target.id} counts them in 32 bits`, node.op);
  }
  return 'i32';
}

export class KernelFrame {
  readonly builder: KernelBuilder;
  readonly target: Target;
  readonly step: KernelStep;
  private readonly parameters: BufferParameter[] = [];
  private readonly targets: (Node | Workspace)[] = [];
  private readonly byNode = new Map<number, string>();
  private readonly scratches: Scratch[] = [];

  constructor(step: KernelStep, target: Target, indexType?: 'i32' | 'i64') {
    this.step = step;
    this.target = target;
    const nodes = [...step.inputs, ...step.outputs];
    this.builder = new KernelBuilder(indexType ?? indexTypeFor(target, nodes), target.math);
  }

  private parameter(
    memory: MemoryType,
    access: BufferParameter['access'],
    stands: Node | Workspace,
  ): string {
    const name = `b${this.parameters.length}`;
    this.parameters.push({ name, memory, access });
    this.targets.push(stands);
    return name;
  }

  /** The parameter of an input of the step; undefined for nodes that are computed inside. */
  input(node: Node): string | undefined {
    const known = this.byNode.get(node.id);
    if (known !== undefined) return known;
    if (!this.step.inputs.some((candidate) => candidate.id === node.id)) return undefined;
    const name = this.parameter(memoryType(node.dtype), 'read', node);
    this.byNode.set(node.id, name);
    return name;
  }

  /** The parameter that an output of the step is written to; that of the input below it if any. */
  output(node: Node, access: 'write' | 'readWrite' = 'write'): string {
    const over = this.step.over?.[this.step.outputs.indexOf(node)];
    if (over !== undefined) {
      const name = this.input(over) as string;
      const at = this.parameters.findIndex((parameter) => parameter.name === name);
      const parameter = this.parameters[at] as BufferParameter;
      this.parameters[at] = { ...parameter, access: 'readWrite' };
      return name;
    }
    return this.parameter(memoryType(node.dtype), access, node);
  }

  workspace(workspace: Workspace, dtype: DType, access: BufferParameter['access']): string {
    return this.parameter(memoryType(dtype), access, workspace);
  }

  /** The parameter to read a workspace from, where there is one. */
  workspaceOf(workspace: Workspace | undefined, dtype: DType): string | undefined {
    return workspace === undefined ? undefined : this.workspace(workspace, dtype, 'read');
  }

  scratch(memory: MemoryType, length: number, space: Scratch['space'] = 'scratch'): string {
    const name = `t${this.scratches.length}`;
    this.scratches.push({ name, memory, length, space });
    return name;
  }

  /** Closes the kernel. `lanes` and `group` as in TileProgram. */
  finish(
    names: KernelNames,
    shape: { readonly lanes: number; readonly group: number; readonly grid: readonly GridAxis[] },
    options: { readonly once?: boolean; readonly cost?: Cost } = {},
  ): LoweredKernel {
    const { builder, target } = this;
    const cost = options.cost ?? costOf(this.step);
    return {
      program: Object.freeze({
        contract: 1,
        name: names.name,
        target: target.id,
        lanes: shape.lanes,
        group: shape.group,
        buffers: this.parameters,
        sizes: freeVariables(shape.grid, builder.body),
        indexType: builder.indexType,
        scratch: this.scratches,
        grid: shape.grid,
        body: builder.body,
        mayFail: builder.mayFail,
      }),
      arguments: this.targets,
      once: options.once ?? false,
      flops: cost.flops,
      bytes: cost.bytes,
    };
  }
}

const bytesOfNode = (node: Node): Expression => multiply(bytesOf(node.dtype), product(node.shape));

/** One operation per output element; every input and output moved once. */
export function costOf(step: KernelStep): Cost {
  const bytes = [...step.inputs, ...step.outputs].map(bytesOfNode);
  const elements = product((step.outputs[0] as Node).shape);
  return { flops: elements, bytes: add(0, ...bytes) };
}
