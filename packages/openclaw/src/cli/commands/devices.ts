/** `claw devices`: every device found and every one not, with reason and fix. */
import { type Listing, listDevices } from '@open-claw/core';
import { useInstalled, usePlugins, wantedIds } from '../../devices/plugins.js';
import type { Context } from '../context.js';
import type { ParsedOptions } from '../options.js';
import { type CommandResult, noDevice } from '../result.js';
import { bytesText, tableText } from '../table.js';

export async function devices({ load }: ParsedOptions, context: Context): Promise<CommandResult> {
  await usePlugins(load);
  await useInstalled();
  const wanted = wantedIds({ ...(load.device === undefined ? {} : { device: load.device }) });
  const listings = (await listDevices()).filter(
    (listing) => wanted.length === 0 || wanted.some((id) => isOf(listing, id)),
  );
  const entries = listings.map(entryOf);
  const found = entries.some((entry) => entry.found);
  return {
    facts: noDevice,
    json: { devices: entries },
    text: listingText(listings, context),
    exit: found ? 0 : 3,
  };
}

const idOf = (listing: Listing): string =>
  'found' in listing ? listing.found.id : listing.absent.id;

const isOf = (listing: Listing, id: string): boolean =>
  idOf(listing) === id || listing.plugin === id || id.startsWith(`${listing.plugin}/`);

function entryOf(listing: Listing) {
  const { plugin, evidence } = listing;
  if ('absent' in listing) {
    const { id, reason, fix } = listing.absent;
    return { id, plugin, found: false, evidence, reason, fix };
  }
  const { id, model, driver, target, freeBytes, peers, marks } = listing.found;
  return { id, plugin, found: true, model, driver, evidence, marks, freeBytes, peers, target };
}

function listingText(listings: readonly Listing[], { texts }: Context): string {
  const rows = listings.map((listing) => {
    if ('absent' in listing) {
      const { id, reason, fix } = listing.absent;
      return [id, texts.absent, `${reason}\n${texts.fix}: ${fix}`, '', listing.evidence];
    }
    const { id, model, driver, target, freeBytes } = listing.found;
    const width = target.vectorBytes > 0 ? `, ${target.vectorBytes * 8} bit` : '';
    const parts = [
      `${target.id}${width}`,
      `${target.cores} ${texts.threads}`,
      bytesText(freeBytes),
    ];
    const facts = `${model}\n${parts.join(', ')}`;
    const shown = driver.length > 60 ? `${driver.slice(0, 59)}…` : driver;
    return [id, texts.found, facts, shown, listing.evidence];
  });
  const head = [texts.device, texts.status, texts.facts, texts.driver, texts.evidence];
  return tableText(head, rows);
}
