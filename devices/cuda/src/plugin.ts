/** The plug-in: one driver for all rows, or for one row from outside. */
import {
  type Absent,
  type Binary,
  type Device,
  type DevicePlugin,
  type Found,
  failure,
  gpuLanguage,
  type Language,
  refused,
  type Source,
  type Target,
} from '@open-claw/core/device';
import { type Cache, openCache } from '@open-claw/kernel-cache';
import { type Calls, openCalls, type Places } from './calls.js';
import { type Compiler, commandFolders, compileCached, compilerOf } from './compiler.js';
import { GpuDevice } from './device.js';
import { foundOf, openDriver, type Probed, type ProbedCard, probeRow } from './probe.js';
import { dialectName, type GpuRow } from './row.js';
import { gpuRows } from './rows.table.js';
import { targetOf } from './target.js';

export interface CudaOptions {
  /** Looked into instead of the system's and the rows' own places. */
  readonly places?: { readonly libraries: readonly string[]; readonly commands: readonly string[] };
  /** Folder for compiled kernels; CLAW_CACHE or ~/.cache/openclaw where absent. */
  readonly cache?: string;
  /** Architecture of the cards of a row, by its name, where the table's guess is wrong. */
  readonly architectures?: Readonly<Record<string, string>>;
  /** Times every command by events. */
  readonly times?: boolean;
  /** Opens libraries in another way, as a trace does. */
  readonly openCalls?: typeof openCalls;
}

/** The languages of all rows as one: a target says which it wants. */
function languageOf(rows: readonly GpuRow[]): Language {
  const languages = new Map(rows.map((row) => [dialectName(row), gpuLanguage(row.dialect)]));
  return {
    name: 'cuda',
    emit(kernels, target) {
      const language = languages.get(target.language);
      if (language === undefined) {
        throw refused(`language ${target.language}`, 'no row of this device speaks it');
      }
      return language.emit(kernels, target);
    },
  };
}

/** The plug-in of rows, `cuda` by name, or of one row, `cuda/ROW`; see traced.ts. */
export function pluginOf(
  rows: GpuRow | readonly GpuRow[] = gpuRows,
  options: CudaOptions = {},
): DevicePlugin {
  const listed: readonly GpuRow[] = Array.isArray(rows) ? rows : [rows as GpuRow];
  const drivers = new Map<string, Calls>();
  const compilers = new Map<string, Compiler>();
  let cache: Cache | undefined;
  const librariesOf = (row: GpuRow): Places => {
    if (options.places === undefined) return { system: true, folders: row.folders };
    return { system: false, folders: options.places.libraries };
  };
  const driverOf = (row: GpuRow, places: Places): Calls | string => {
    const key = [row.name, places.system, ...places.folders].join('\n');
    const kept = drivers.get(key);
    if (kept !== undefined) return kept;
    const opened = openDriver(row, places, options.openCalls ?? openCalls);
    // A driver may be installed later: only success is remembered.
    if (typeof opened === 'string') return opened;
    drivers.set(key, opened);
    return opened;
  };
  /** Two stacks may have a library of one name: where one drives no card of the row, the next. */
  const probed = (row: GpuRow): Probed => {
    const architecture = options.architectures?.[row.name];
    const all = librariesOf(row);
    const first = probeRow(row, driverOf(row, all), architecture);
    if (first.cards.length > 0) return first;
    for (const folder of all.folders) {
      const places = { system: false, folders: [folder] };
      const other = probeRow(row, driverOf(row, places), architecture);
      if (other.cards.length > 0) return other;
    }
    return first;
  };
  const find = (id: string): ProbedCard | undefined => {
    const named = listed.filter((row) => id.startsWith(`cuda/${row.name}:`));
    const cards = (named.length > 0 ? named : listed).flatMap((row) => probed(row).cards);
    return cards.find((card) => card.id === id) ?? cards.find(({ target }) => target.id === id);
  };
  return {
    contract: 1,
    name: Array.isArray(rows) ? 'cuda' : `cuda/${(rows as GpuRow).name}`,
    targets: listed.flatMap((row) => row.architectures.map((a) => targetOf(row, a))),
    language: languageOf(listed),

    async probe(): Promise<readonly (Found | Absent)[]> {
      return listed.flatMap((row) => {
        const { cards, absent } = probed(row);
        return [...cards.map(foundOf), ...absent];
      });
    },

    async compile(source: Source, target: Target): Promise<Binary> {
      const row = listed.find((r) => dialectName(r) === target.language);
      if (row === undefined || source.language !== target.language) {
        throw refused(`${source.language} for ${target.id}`, 'no row of this device compiles it');
      }
      const places = {
        libraries: librariesOf(row),
        commands: options.places?.commands ?? commandFolders(row),
        open: options.openCalls ?? openCalls,
      };
      const compiler = compilers.get(row.name) ?? compilerOf(row, places);
      compilers.set(row.name, compiler);
      cache ??= openCache({ family: 'cuda', suffix: 'code', folder: options.cache });
      const architecture = target.id.slice(target.id.indexOf('/') + 1);
      const bytes = await compileCached(row, compiler, source.text ?? '', architecture, cache);
      return {
        format: `cuda/${row.name}`,
        target: target.id,
        toolchain: compiler.identity,
        bytes,
        entries: source.entries,
      };
    },

    async open(id: string): Promise<Device> {
      const card = find(id);
      if (card === undefined) throw failure('OC-DEVICE-06', { id }, { kind: 'unavailable' });
      return new GpuDevice(card.card, card.target, options);
    },
  };
}
