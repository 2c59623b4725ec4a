/** The target that `check` and `explain` compile for: named, or the device's. */
import { type Evidence, loadedPlugins } from '@open-claw/core/face';
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
    const here = (await loadedPlugins()).flatMap((plugin) => plugin.targets.map(({ id }) => id));
    await useInstalled();
    const known = closest(given.target, here, [...(await knownTargets()).keys()]);
    throw usage(fill(texts.unknownTarget, { name: given.target, known }));
  }
  const backend = await openBackend(wantedIds(load).filter((id) => id !== 'interpreter'));
  const facts = factsOf(backend);
  if (backend.kind === 'interpreter')
    throw usage(fill(texts.unknownTarget, { name: 'interpreter', known: '' }));
  const { target, plugin } = backend.opened;
  return { target, language: plugin.language, facts };
}

const familyOf = (id: string): string => id.split('/')[0] as string;

/** Rows of the family that was meant; where it is none, those of `here` and the other families. */
function closest(name: string, here: readonly string[], all: readonly string[]): string {
  const rows = all.filter((id) => familyOf(id) === familyOf(name));
  if (rows.length > 0) return rows.join(', ');
  const families = new Set(all.map(familyOf));
  for (const id of here) families.delete(familyOf(id));
  return [...here, ...[...families].map((family) => `${family}/…`)].join(', ');
}
