/** A row: all that the driver must know about one vendor's libraries, as plain data. */
import type { GpuDialect, GpuDialectName, MatrixUnit } from '@open-claw/core/device';
import type { CompilerPart, DriverPart } from './signatures.table.js';

/** Facts of one architecture, true of every card that has it; a card may report less. */
export interface Architecture {
  /** As the compiler calls it; the target is `cuda/NAME`. */
  readonly name: string;
  /** Pattern of the names of cards that have it; the first architecture is taken for others. */
  readonly cards?: string;
  /** Threads that run in step. No kernel relies on it; stubs keep to it, listings show it. */
  readonly warp: number;
  readonly maxGroup: number;
  readonly sharedBytes: number;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Matrix units that the dialect has words for; absent: none. */
  readonly matrixUnits?: readonly MatrixUnit[];
}

/** Numbers of the attributes that a driver can be asked for. */
export interface Attributes {
  readonly maxGroup?: number;
  readonly maxGridX?: number;
  readonly sharedBytes?: number;
  readonly warp?: number;
  readonly cores?: number;
  readonly major?: number;
  readonly minor?: number;
}

/** A library that compiles text while the program runs. */
export interface RuntimeCompiler {
  /** File names to try; empty where the driver's library has the compiler. */
  readonly libraries: readonly string[];
  readonly symbols: Readonly<Partial<Record<CompilerPart, string | readonly string[]>>>;
  /** Option that names the architecture, `{architecture}` in it; empty where there is none. */
  readonly architectureOption: string;
  readonly options: readonly string[];
  /** What it gives, as the format of binaries. */
  readonly format: string;
}

/** A command that compiles a file. */
export interface OfflineCompiler {
  readonly command: string;
  /** Ending of the input file, as `.cu`. */
  readonly ending: string;
  /** `{architecture}`, `{input}` and `{output}` are filled in. */
  readonly arguments: readonly string[];
  readonly format: string;
}

export interface GpuRow {
  /** Second part of the ids of its cards: `cuda/NAME:0`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** A row of the token table, or tokens of its own. */
  readonly dialect: GpuDialectName | { readonly name: string; readonly tokens: GpuDialect };
  /** File names of the driver's library to try, best first; then those opened beside it. */
  readonly libraries: readonly string[];
  readonly companions?: readonly string[];
  /** Folders that are looked into where the system's loader finds nothing. */
  readonly folders: readonly string[];
  /** Where two versions of a library differ in a name, both, newest first. */
  readonly symbols: Readonly<Partial<Record<DriverPart, string | readonly string[]>>>;
  readonly compiler?: RuntimeCompiler;
  readonly offline?: OfflineCompiler;
  /** Variable by which the driver hides cards. */
  readonly visible: string;
  /** Patterns of card names, where several rows open libraries of the same name. */
  readonly cards?: { readonly only?: string; readonly except?: string };
  readonly attributes?: Attributes;
  /** How the first architecture guess is bettered: by compute capability, or by the kernel. */
  readonly architectureFrom?: 'capability' | 'kernelTopology';
  readonly architectures: readonly [Architecture, ...Architecture[]];
  /** Most groups along x. */
  readonly maxGridX: number;
  /** Whether codes are numbered as CUDA's; else the driver's text says what they mean. */
  readonly knownCodes: boolean;
  /** What to install, for people: the driver, the compiler. */
  readonly install: { readonly driver: string; readonly compiler: string };
  /** Where the names come from, and which of them were seen nowhere. */
  readonly evidence: string;
  readonly unconfirmed: readonly (
    | DriverPart
    | CompilerPart
    | 'libraries'
    | 'offline'
    | 'visible'
  )[];
}

export const dialectName = (row: GpuRow): string =>
  typeof row.dialect === 'string' ? row.dialect : row.dialect.name;
