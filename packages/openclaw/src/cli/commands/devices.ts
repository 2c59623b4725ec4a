/**
 * `claw devices`: every device found and every one not, with reason and fix; traces of drivers,
 * written and played again.
 */
import { type Listing, listDevices } from '@open-claw/core/face';
import { useInstalled, usePlugins, wantedIds } from '../../devices/plugins.js';
import { replayTraces, writeTrace } from '../../devices/traces.js';
import type { Context } from '../context.js';
import { type GivenOptions, type ParsedOptions, usage } from '../options.js';
import { type CommandResult, noDevice } from '../result.js';
import { bytesText, cleanLines, tableText } from '../table.js';

export async function devices(
  { trace, replay }: GivenOptions,
  { load }: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  await usePlugins(load);
  await useInstalled();
  if (trace !== undefined && replay !== undefined) throw usage(context.texts.traceOrReplay);
  if (trace !== undefined) return traced(trace, context);
  if (replay !== undefined) return replayed(replay, context);
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

async function traced(path: string, { texts }: Context): Promise<CommandResult> {
  const rows = await writeTrace(path);
  const json = { trace: rows.length === 0 ? null : path, rows };
  const text = rows.length === 0 ? texts.noTrace : `${texts.trace}: ${rows.join(', ')} → ${path}`;
  return { facts: noDevice, json, text: `${cleanLines(text)}\n`, exit: rows.length === 0 ? 3 : 0 };
}

async function replayed(path: string, { texts }: Context): Promise<CommandResult> {
  const reports = await replayTraces(path);
  const rows = reports.map(({ row, agrees, stub, steps, differences }) => [
    row,
    agrees ? texts.agrees : texts.differs,
    differences.length > 0 ? differences.join('\n') : (steps[0]?.outcome ?? ''),
    // A trace says what it was made on; nobody saw the card.
    stub ? 'stub' : 'none',
  ]);
  const head = [texts.name, texts.outcome, texts.reason, texts.evidence];
  return {
    facts: noDevice,
    json: { replay: path, rows: reports },
    text: tableText(head, rows),
    exit: reports.length > 0 && reports.every(({ agrees }) => agrees) ? 0 : 1,
  };
}
