/** Targets of other kinds of machines whose kernels run as plain JavaScript, each one verified. */
import { compile, load, openDevice, use } from '@open-claw/core';
import type { Graph, HostTensor } from '@open-claw/core/internal';
import { templateDevice } from '@open-claw/device-template';
import type { Target } from '../../packages/core/src/base/target.js';
import type { Language } from '../../packages/core/src/codegen/language.js';
import { scriptLanguage } from '../../packages/core/src/codegen/script.js';
import { verifyProgram } from '../../packages/core/src/kernel/verify.js';
import { scriptTarget } from './run-tile.js';

export const targets: readonly Target[] = [
  { ...scriptTarget, id: 'test/scalar' },
  { ...scriptTarget, id: 'test/vector16', vectorBytes: 16, cores: 4, cacheBytes: [32768, 1 << 20] },
  {
    ...scriptTarget,
    id: 'test/vector32',
    vectorBytes: 32,
    vectorRegisters: 32,
    cores: 2,
    cacheBytes: [32768, 1 << 20],
  },
  {
    ...scriptTarget,
    id: 'test/threads',
    execution: 'threads',
    maxGroup: 64,
    preferredGroup: 16,
    sharedBytes: 16384,
    indexBits: 32,
  },
];

const language: Language = {
  ...scriptLanguage,
  emit(kernels, target) {
    for (const kernel of kernels) verifyProgram(kernel);
    return scriptLanguage.emit(kernels, target);
  },
};

use(templateDevice());

/** Compiles for a target and runs on the pretend chip. */
export async function runOn(
  target: Target,
  graph: Graph,
  inputs: readonly HostTensor[],
): Promise<readonly HostTensor[]> {
  const opened = await openDevice('template');
  const executable = await load(compile(graph, target, language), { ...opened, target });
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}
