/** Values of options, checked; what is wrong with one is wrong use. */
import { failure } from '@open-claw/core/internal';
import type { DeviceOptions } from '../devices/plugins.js';
import type { TuningOptions } from '../model/load.js';
import type { Level, LoadModelOptions, Precision } from '../model/options.js';
import { fill, type Texts } from './text.js';

/** As commander gives them: text, or a list of texts. */
export interface GivenOptions {
  readonly device?: string;
  readonly plugin?: readonly string[];
  readonly precision?: string;
  readonly level?: string;
  readonly size?: readonly string[];
  readonly memory?: string;
  readonly timeLimit?: string;
  readonly json?: string | boolean;
  readonly input?: readonly string[];
  readonly random?: string;
  readonly out?: string;
  readonly target?: string;
  readonly stage?: string;
  readonly threads?: string;
  readonly runs?: string;
  readonly against?: string;
  readonly trace?: string;
  readonly output?: string;
  readonly tuning?: string;
  readonly onnx?: string;
  readonly filter?: string;
  readonly replay?: string;
}

export const usage = (reason: string): Error =>
  failure('OC-USAGE-01', { reason }, { kind: 'usage' });

export interface ParsedOptions {
  readonly load: LoadModelOptions & DeviceOptions & TuningOptions;
  /** Milliseconds of one run. */
  readonly timeLimit: number | undefined;
}

/** The options that every command takes. */
export function parseCommon(given: GivenOptions, texts: Texts): ParsedOptions {
  const { device, plugin, precision, level, size, memory, timeLimit, threads, tuning } = given;
  const bytes = memory === undefined ? undefined : parseBytes('--memory', memory, texts);
  const load = {
    ...(device === undefined ? {} : { device }),
    ...(plugin === undefined || plugin.length === 0 ? {} : { plugin }),
    ...(precision === undefined
      ? {}
      : { precision: choice('--precision', precision, ['highest', 'high', 'fast'], texts) }),
    ...(level === undefined
      ? {}
      : { level: choice('--level', level, ['default', 'exact'], texts) }),
    ...(size === undefined ? {} : { sizes: parseSizes(size, texts) }),
    ...(bytes === undefined ? {} : { memory: bytes }),
    ...(tuning === undefined ? {} : { tuningFile: tuning }),
    ...(threads === undefined ? {} : { threads: parseCount('--threads', threads, 1, texts) }),
  } as LoadModelOptions & DeviceOptions & { precision?: Precision; level?: Level };
  const time = timeLimit === undefined ? undefined : parseTime('--time-limit', timeLimit, texts);
  return { load, timeLimit: time };
}

export function choice<T extends string>(
  name: string,
  value: string,
  choices: readonly T[],
  texts: Texts,
): T {
  const found = choices.find((each) => each === value);
  if (found !== undefined) return found;
  throw usage(fill(texts.notChoice, { name, value, choices: choices.join(', ') }));
}

/** A whole number of at least `least`. */
export function parseCount(name: string, value: string, least: number, texts: Texts): number {
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least) return number;
  throw usage(fill(texts.notNumber, { name, value, least }));
}

/** `NAME=VALUE` with the last `=` where `last`, because names of inputs may hold one. */
export function parsePair(
  name: string,
  value: string,
  what: string,
  texts: Texts,
): readonly [string, string] {
  const at = what === 'NUMBER' ? value.lastIndexOf('=') : value.indexOf('=');
  if (at <= 0) throw usage(fill(texts.notPair, { name, value, what }));
  return [value.slice(0, at), value.slice(at + 1)];
}

function parseSizes(given: readonly string[], texts: Texts): Readonly<Record<string, number>> {
  const sizes: Record<string, number> = Object.create(null);
  for (const each of given) {
    const [name, value] = parsePair('--size', each, 'NUMBER', texts);
    sizes[name] = parseCount(`--size ${name}`, value, 0, texts);
  }
  return sizes;
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

export function parseBytes(name: string, value: string, texts: Texts): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value) ?? [];
  const bytes = Math.floor(Number(number) * (byteUnits[unit.toLowerCase()] ?? Number.NaN));
  if (number !== '' && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw usage(fill(texts.notBytes, { name, value }));
}

const timeUnits: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000 };

/** Milliseconds. */
export function parseTime(name: string, value: string, texts: Texts): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|m)?$/.exec(value) ?? [];
  const milliseconds = Number(number) * (timeUnits[unit] ?? Number.NaN);
  if (number !== '' && milliseconds > 0) return milliseconds;
  throw usage(fill(texts.notTime, { name, value }));
}

export function parsePattern(name: string, value: string, texts: Texts): RegExp {
  try {
    return new RegExp(value);
  } catch {
    throw usage(fill(texts.notPattern, { name, value }));
  }
}
