/**
 * The kernels of a program: lowers each step once per signature, gives re-tiled ones where the
 * language finds a tile too large, and collects what is refused.
 */
import { failure, isFailure, type OpenClawError, refused } from '../base/errors.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { lower } from '../kernel/lower.js';
import type { Choices, LoweredKernel, Workspace } from '../kernel/lowered.js';
import type { TileProgram } from '../kernel/tile.js';
import { signatureOf } from '../schedule/signature.js';
import type { KernelStep } from '../schedule/step.js';
import type { Language } from './language.js';

/** What a target cannot do, by name. */
export interface Refusal {
  readonly operator: string;
  readonly error: OpenClawError;
}

export interface KernelTable {
  /** Kernels of a step, in order of launch; none where it is refused. */
  kernelsOf(step: KernelStep, operator: number): readonly LoweredKernel[];
  /** A number for the status word. */
  operator(name: string): number;
  readonly programs: readonly TileProgram[];
  readonly operators: readonly string[];
  readonly refusals: Refusal[];
}

/** Times that tiles are halved before a kernel is refused. */
const mostHalvings = 4;

export function kernelTable(target: Target, language: Language, choices: Choices): KernelTable {
  const programs: TileProgram[] = [];
  const operators: string[] = [];
  const refusals: Refusal[] = [];
  const known = new Map<string, { nodes: readonly Node[]; kernels: readonly LoweredKernel[] }>();
  const lowerNew = (step: KernelStep, operator: number): readonly LoweredKernel[] => {
    const missing = missingTypes(step, target);
    refusals.push(...missing);
    if (missing.length > 0) return [];
    const names = { name: `k${programs.length}`, failBase: operator * 8 };
    try {
      const kernels = fitting(step, target, language, choices, names);
      programs.push(...kernels.map((kernel) => kernel.program));
      return kernels;
    } catch (error) {
      if (!isFailure(error) || error.kind !== 'refused') throw error;
      refusals.push({ operator: operators[operator] as string, error });
      return [];
    }
  };
  return {
    programs,
    operators,
    refusals,
    operator: (name) => operators.push(name) - 1,
    kernelsOf(step, operator) {
      const signature = signatureOf(step);
      const seen = known.get(signature.text);
      if (seen !== undefined) return moved(seen.kernels, seen.nodes, signature.nodes);
      const kernels = lowerNew(step, operator);
      // A kernel that may fail names its own step in the status word.
      if (kernels.every((kernel) => !kernel.program.mayFail)) {
        known.set(signature.text, { nodes: signature.nodes, kernels });
      }
      return kernels;
    },
  };
}

/** One refusal for each dtype of the step that the target's memory cannot hold. */
function missingTypes(step: KernelStep, target: Target): Refusal[] {
  const byType = new Map([...step.inputs, ...step.outputs].map((node) => [node.dtype, node.op]));
  return [...byType]
    .filter(([dtype]) => !target.storage.includes(dtype))
    .map(([dtype, operator]) => {
      const reason = `${target.id} has no memory type for it`;
      return { operator, error: refused(`dtype ${dtype}`, reason, operator) };
    });
}

/** No tile makes a kernel need fewer buffers, so that one with too many is refused. */
function checkBindings({ buffers, mayFail }: TileProgram, target: Target): void {
  const count = buffers.length + (mayFail ? 1 : 0);
  if (count <= target.maxBindings) return;
  throw refused(`a kernel of ${count} buffers`, `${target.id} binds ${target.maxBindings} at most`);
}

/** Lowers, and lowers again with smaller tiles while the language says too large. */
function fitting(
  step: KernelStep,
  target: Target,
  language: Language,
  choices: Choices,
  names: { readonly name: string; readonly failBase: number },
): readonly LoweredKernel[] {
  for (let halvings = 0; ; halvings++) {
    const { tuning } = choices;
    const tile = { ...tuning['tile'], halvings };
    const hint = halvings === 0 ? choices : { ...choices, tuning: { ...tuning, tile } };
    const kernels = lower(step, target, hint, names);
    for (const { program } of kernels) checkBindings(program, target);
    try {
      language.emit(
        kernels.map((kernel) => kernel.program),
        target,
      );
      return kernels;
    } catch (error) {
      const isTooLarge = isFailure(error) && error.retry === 'smaller';
      if (!isTooLarge || halvings === mostHalvings) throw error;
    }
  }
}

/** The kernels of an equal step, with this step's values as arguments. */
function moved(
  kernels: readonly LoweredKernel[],
  from: readonly Node[],
  to: readonly Node[],
): readonly LoweredKernel[] {
  const at = new Map(from.map((node, i) => [node, to[i] as Node]));
  const isNode = (argument: Node | Workspace): argument is Node => 'op' in argument;
  return kernels.map((kernel) => ({
    ...kernel,
    arguments: kernel.arguments.map((argument) =>
      isNode(argument) ? (at.get(argument) ?? argument) : argument,
    ),
  }));
}

/** Throws what the table has refused, all of it at once. */
export function throwRefusals({ refusals }: Pick<KernelTable, 'refusals'>): void {
  const [first, ...others] = refusals;
  if (first === undefined) return;
  if (others.length === 0) throw first.error;
  const list = refusals.map(({ operator, error }) => `${operator}: ${error.what}`);
  const details = { count: list.length, list: [...new Set(list)].join('; ') };
  throw failure('OC-REFUSED-03', details, { kind: 'refused', retry: 'other-device' });
}
