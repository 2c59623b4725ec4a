/** The target that `check` and `explain` compile for: named, or the device's. */
import type { Evidence } from '@open-claw/core';
import { type BackendFacts, factsOf, openBackend } from '../../devices/choose.js';
import { useFamilyOf, useInstalled, usePlugins, wantedIds } from '../../devices/plugins.js';
import { type KnownTarget, knownTargets } from '../../targets.js';
import type { Context } from '../context.js';
import { type GivenOptions, type ParsedOptions, usage } from '../options.js';
import { fill } from '../text.js';

export interface ChosenTarget extends KnownTarget {
  readonly facts: BackendFacts;
}

const noCard: { readonly driver: string; readonly evidence: Evidence } = {
  driver: 'none',
  evidence: 'none',
};

/** Throws OC-USAGE-01 for a target that is not known, and what opening the device throws. */
export async function chooseTarget(
  given: GivenOptions,
  { load }: ParsedOptions,
  { texts }: Context,
): Promise<ChosenTarget> {
  await usePlugins(load);
  if (given.target !== undefined) await useFamilyOf(given.target);
  const targets = await knownTargets();
  if (given.target !== undefined) {
    const found = targets.get(given.target);
    if (found !== undefined) return { ...found, facts: { device: given.target, ...noCard } };
    await useInstalled();
    const known = [...(await knownTargets()).keys()].join(', ');
    throw usage(fill(texts.unknownTarget, { name: given.target, known }));
  }
  const backend = await openBackend(wantedIds(load).filter((id) => id !== 'interpreter'));
  const facts = factsOf(backend);
  if (backend.kind === 'interpreter')
    throw usage(fill(texts.unknownTarget, { name: 'interpreter', known: '' }));
  const { target, plugin } = backend.opened;
  return { target, language: plugin.language, facts };
}
