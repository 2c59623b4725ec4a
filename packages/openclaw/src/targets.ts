/** Targets that can be compiled for: those of the plug-ins, and rows that need no card. */

import { gpuDialects, gpuLanguage, targetsOfGpus } from '@open-claw/core/device/gpu';
import { shaderLanguage } from '@open-claw/core/device/shader';
import { loadedPlugins, type Target } from '@open-claw/core/face';
import { refused } from '@open-claw/core/internal';

type Language = Parameters<typeof import('@open-claw/core').compile>[2];

export interface KnownTarget {
  readonly target: Target;
  readonly language: Language;
}

type Dialect = keyof typeof gpuDialects;
const isDialect = (name: string): name is Dialect => Object.hasOwn(gpuDialects, name);

function languageOf(name: string): Language {
  if (isDialect(name)) return gpuLanguage(name);
  if (name === shaderLanguage.name) return shaderLanguage;
  return {
    name,
    emit() {
      throw refused(`language ${name}`, 'no printer of it is part of this version');
    },
  };
}

/** By id; a plug-in's own facts win over the rows of the table. */
export async function knownTargets(): Promise<ReadonlyMap<string, KnownTarget>> {
  const known = new Map<string, KnownTarget>();
  for (const target of targetsOfGpus) {
    known.set(target.id, { target, language: languageOf(target.language) });
  }
  for (const { targets, language } of await loadedPlugins()) {
    for (const target of targets) known.set(target.id, { target, language });
  }
  return known;
}
