/** What is there: the cards of a row with their facts, or why there are none. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Absent, type Found, failure, type Target } from '@open-claw/core/device';
import {
  type Calls,
  type openCalls,
  outBytes,
  outHandle,
  outI32,
  type Places,
  textOf,
} from './calls.js';
import type { Card } from './context.js';
import { reasonOf } from './failures.js';
import type { Architecture, GpuRow } from './row.js';
import { type DriverPart, neededParts } from './signatures.table.js';
import { architectureByCode, architectureByName, type Reported, targetOf } from './target.js';

/** A card that answers. */
export interface ProbedCard {
  readonly id: string;
  readonly card: Card;
  readonly model: string;
  readonly architecture: Architecture;
  readonly reported: Reported;
  readonly target: Target;
}

export interface Probed {
  readonly cards: readonly ProbedCard[];
  readonly absent: readonly Absent[];
}

/** Opens the driver of a row; a text says what is missing. */
export function openDriver(row: GpuRow, places: Places, open: typeof openCalls): Calls | string {
  const calls = open(row.libraries, row.companions ?? [], row.symbols, places);
  if (typeof calls === 'string') return calls;
  const wanted = neededParts.filter((parts) => !parts.some((part) => calls.has(part)));
  const missing = wanted.map((parts) => {
    const named = parts.find((part) => row.symbols[part] !== undefined) ?? parts[0];
    return named === undefined ? '' : calls.symbol(named);
  });
  return missing.length === 0 ? calls : `${calls.names[0]} lacks ${missing.join(', ')}`;
}

const absentOf = (row: GpuRow, code: 'OC-DEVICE-12' | 'OC-DEVICE-13', reason: string): Absent => {
  const details = { row: row.title, reason, install: row.install.driver, variable: row.visible };
  const { what, fix } = failure(code, details);
  return { id: `cuda/${row.name}`, reason: what, fix };
};

/** The cards of a row. `architecture` overrides what is found out about all of them. */
export function probeRow(
  row: GpuRow,
  driver: Calls | string,
  architecture: string | undefined,
): Probed {
  if (typeof driver === 'string') {
    return { cards: [], absent: [absentOf(row, 'OC-DEVICE-12', driver)] };
  }
  const reason = start(row, driver);
  if (typeof reason === 'string') {
    return { cards: [], absent: [absentOf(row, 'OC-DEVICE-13', reason)] };
  }
  const cards: ProbedCard[] = [];
  const absent: Absent[] = [];
  const others: string[] = [];
  for (let ordinal = 0; ordinal < reason; ordinal++) {
    const device = deviceOf(driver, ordinal);
    if (typeof device === 'string') {
      absent.push({ ...absentOf(row, 'OC-DEVICE-13', device), id: `cuda/${row.name}:${ordinal}` });
      continue;
    }
    const model = nameOf(driver, device) ?? row.title;
    if (belongs(row, model)) {
      cards.push(describe(row, { row, calls: driver, ordinal, device }, model, architecture));
    } else others.push(model);
  }
  if (cards.length === 0 && absent.length === 0) {
    const why = others.length === 0 ? 'it finds no card' : `it drives ${others.join(', ')}`;
    return { cards, absent: [absentOf(row, 'OC-DEVICE-13', why)] };
  }
  return { cards, absent };
}

/** The number of cards, or what the driver said instead. */
function start(row: GpuRow, calls: Calls): number | string {
  if (calls.has('initialize')) {
    const code = calls.call('initialize', 0);
    if (code !== 0) return reasonOf(calls, 'initialize', code);
  }
  const count = outI32();
  const code = calls.call('deviceCount', count);
  if (code !== 0) return reasonOf(calls, 'deviceCount', code);
  const hidden = process.env[row.visible];
  if (count[0] !== 0 || hidden === undefined) return count[0] as number;
  return `it finds no card (${row.visible}=${hidden})`;
}

function deviceOf(calls: Calls, ordinal: number): number | string {
  if (!calls.has('deviceOf')) return ordinal;
  const made = outI32();
  const code = calls.call('deviceOf', made, ordinal);
  return code === 0 ? (made[0] as number) : reasonOf(calls, 'deviceOf', code);
}

const nameBytes = 256;

function nameOf(calls: Calls, device: number): string | undefined {
  if (!calls.has('deviceName')) return undefined;
  const bytes = outBytes(nameBytes);
  const code = calls.call('deviceName', bytes, nameBytes - 1, device);
  const name = textOf(bytes).trim();
  return code === 0 && name !== '' ? name : undefined;
}

function belongs({ cards }: GpuRow, model: string): boolean {
  const fits = (pattern: string): boolean => new RegExp(pattern, 'i').test(model);
  if (cards?.only !== undefined && !fits(cards.only)) return false;
  return cards?.except === undefined || !fits(cards.except);
}

function describe(row: GpuRow, card: Card, model: string, wanted: string | undefined): ProbedCard {
  const { calls, device, ordinal } = card;
  const ask = (attribute: number | undefined): number | undefined => {
    if (attribute === undefined || !calls.has('deviceAttribute')) return undefined;
    const value = outI32();
    return calls.call('deviceAttribute', value, attribute, device) === 0
      ? (value[0] as number)
      : undefined;
  };
  const numbers = row.attributes ?? {};
  const answers = {
    maxGroup: ask(numbers.maxGroup),
    maxGridX: ask(numbers.maxGridX),
    sharedBytes: ask(numbers.sharedBytes),
    warp: ask(numbers.warp),
    cores: ask(numbers.cores),
    memoryBytes: memoryOf(calls, device),
  };
  const reported = Object.fromEntries(
    Object.entries(answers).filter(([, value]) => value !== undefined),
  ) as Reported;
  const code =
    wanted ??
    (row.architectureFrom === 'capability' ? capability(ask, row) : undefined) ??
    (row.architectureFrom === 'kernelTopology' ? topology()[ordinal] : undefined);
  const architecture =
    code === undefined ? architectureByName(row, model) : architectureByCode(row, code);
  const target = targetOf(row, architecture, reported);
  return { id: `cuda/${row.name}:${ordinal}`, card, model, architecture, reported, target };
}

function capability(
  ask: (attribute: number | undefined) => number | undefined,
  { attributes }: GpuRow,
): string | undefined {
  const [major, minor] = [ask(attributes?.major), ask(attributes?.minor)];
  return major === undefined || minor === undefined ? undefined : `sm_${major}${minor}`;
}

const topologyFolder = '/sys/class/kfd/kfd/topology/nodes';

/** Architectures of the cards that the kernel lists, in its order: gfx and three numbers in one. */
function topology(): readonly string[] {
  try {
    const nodes = readdirSync(topologyFolder).sort((a, b) => Number(a) - Number(b));
    return nodes.flatMap((node) => {
      const text = readFileSync(join(topologyFolder, node, 'properties'), 'latin1');
      const version = Number(/^gfx_target_version (\d+)$/m.exec(text)?.[1] ?? 0);
      if (version === 0) return [];
      const [major, minor] = [Math.floor(version / 10000), Math.floor(version / 100) % 100];
      return [`gfx${major}${minor.toString(16)}${(version % 100).toString(16)}`];
    });
  } catch {
    return [];
  }
}

function memoryOf(calls: Calls, device: number): number | undefined {
  if (!calls.has('deviceMemory')) return undefined;
  const bytes = outHandle();
  return calls.call('deviceMemory', bytes, device) === 0 ? Number(bytes[0]) : undefined;
}

function driverText(row: GpuRow, calls: Calls): string {
  const version = outI32();
  const known = calls.has('version') && calls.call('version', version) === 0;
  return `${row.title} ${known ? version[0] : ''} ${calls.names.join(', ')}`.replace(/ +/g, ' ');
}

/** What core is told of a card. */
export function foundOf(probed: ProbedCard): Found {
  const { card, id, model, target } = probed;
  return {
    id,
    model,
    driver: driverText(card.row, card.calls),
    target,
    freeBytes: target.memoryBytes,
    peers: [],
    marks: card.calls.stub ? ['stub'] : [],
  };
}

/** Parts of a row that its library lacks, by symbol; for listings. */
export const missingSymbols = (row: GpuRow, calls: Calls): readonly string[] =>
  (Object.keys(row.symbols) as DriverPart[])
    .filter((part) => !calls.has(part))
    .map((part) => calls.symbol(part));
