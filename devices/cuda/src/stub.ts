/**
 * Stub drivers: for each row a shared library that exports exactly the row's symbols and runs
 * kernels on the host, built by the C compiler of the system. For tests and for those without a
 * card; core labels all that runs on one `stub`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { namesOf } from './calls.js';
import { findCommand, tokensOf } from './compiler.js';
import type { Architecture, GpuRow } from './row.js';
import {
  type CompilerPart,
  type DriverPart,
  type ParameterKind,
  type Part,
  signatures,
} from './signatures.table.js';

export interface StubOptions {
  /** Symbols that the library shall not have. */
  readonly omit?: readonly string[];
  /** Whether the run-time compiler is left out, as in an old version. */
  readonly withoutCompiler?: boolean;
  /** Architecture of the pretended cards; the row's first where absent. */
  readonly architecture?: string;
}

/** Folders to give to `cudaDevice` as places. */
export interface StubPlaces {
  readonly libraries: readonly string[];
  readonly commands: readonly string[];
}

/** The C compiler that builds stubs; undefined where there is none. */
export function stubCompiler(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return ['cc', 'gcc', 'clang'].map((n) => findCommand(n, folders)).find((p) => p !== undefined);
}

const cTypes: Readonly<Record<ParameterKind, string>> = {
  i32: 'int',
  u32: 'unsigned',
  u64: 'unsigned long long',
  size: 'size_t',
  address: 'void *',
  handle: 'void *',
  handleIn: 'void **',
  text: 'const char *',
  strings: 'const char *const *',
  bytes: 'const void *',
  dims: 'claw_three',
  parameters: 'void **',
  outHandle: 'void **',
  outI32: 'int *',
  outSize: 'size_t *',
  outFloat: 'float *',
  outBytes: 'void *',
  outText: 'const char **',
};

/** The function that a library shows for a part. */
function exported(part: Part, symbol: string): string {
  const { parameters, result } = signatures[part];
  const listed = parameters.map((kind, i) => `${cTypes[kind]} p${i}`).join(', ');
  const given = parameters.map((_, i) => `p${i}`).join(', ');
  const type = result === 'text' ? 'const char *' : 'int';
  const head = `__attribute__((visibility("default"))) ${type} ${symbol}(${listed || 'void'})`;
  return `${head} { return claw_${part}(${given}); }`;
}

const folder = new URL('../stub/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const quoted = (text: string): string => JSON.stringify(text);

/** First word of a built-in name, as `threadIdx` of `threadIdx.x`. */
const word = (token: string): string => token.split('.')[0] ?? token;

/** Block size has no token, because no kernel asks for it: the name follows that of the grid's. */
const threadsName = (blocks: string): string => blocks.replace('grid', 'block');

/** Names that a kernel of this row uses, then the shim. */
function shimText(row: GpuRow, architecture: Architecture): string {
  const tokens = tokensOf(row);
  const lines = [
    `#define STUB_THREAD ${word(tokens.thread)}`,
    `#define STUB_BLOCK ${word(tokens.block[0])}`,
    `#define STUB_BLOCKS ${word(tokens.blocks[0])}`,
    `#define STUB_THREADS ${threadsName(word(tokens.blocks[0]))}`,
    `#define STUB_WARP ${architecture.warp}`,
  ];
  return `${lines.join('\n')}\n${read('kernel.h')}`;
}

/** Text as C strings, one per line. */
const stringOf = (text: string): string =>
  text
    .split('\n')
    .map((line) => quoted(`${line}\n`))
    .join('\n');

/** A card's name that the patterns of a row take for an architecture. */
function modelOf(row: GpuRow, { cards, name }: Architecture): string {
  const plain = (pattern: string): string => pattern.replace(/[\\^$?()]/g, '').split('|')[0] ?? '';
  const only = row.cards?.only === undefined ? '' : plain(row.cards.only);
  return `${only} ${cards === undefined ? '' : plain(cards)}`.trim() || `${row.title} ${name}`;
}

function attributesText({ attributes = {} }: GpuRow, a: Architecture): string {
  const [major = '0', minor = '0'] = /(\d+)(\d)$/.exec(a.name)?.slice(1) ?? [];
  const values: Readonly<Record<string, number>> = {
    maxGroup: a.maxGroup,
    maxGridX: 2 ** 31 - 1,
    sharedBytes: a.sharedBytes,
    warp: a.warp,
    cores: 4,
    major: Number(major),
    minor: Number(minor),
  };
  return Object.entries(attributes)
    .map(([name, number]) => `{${number}, ${values[name]}}, `)
    .join('');
}

/** What the C files know of a row. */
function configuration(row: GpuRow, a: Architecture, compiler: string): string {
  const offline = row.offline?.arguments.find((text) => text.includes('{architecture}')) ?? '';
  const option = row.compiler?.architectureOption ?? offline;
  const names = row.architectures.map(({ name }) => quoted(name)).join(', ');
  const defined: Readonly<Record<string, string>> = {
    STUB_CC: quoted(compiler),
    STUB_ARCHITECTURE_OPTION: quoted(option.split('{')[0] ?? ''),
    STUB_ARCHITECTURES: names,
    STUB_FIRST_ARCHITECTURE: quoted(row.architectures[0].name),
    STUB_VISIBLE: quoted(row.visible),
    STUB_MODEL: quoted(modelOf(row, a)),
    STUB_ATTRIBUTES: attributesText(row, a),
    STUB_GROUP: String(a.maxGroup),
    STUB_SHARED: String(a.sharedBytes),
    STUB_GRID_X: `${row.maxGridX}u`,
    // A driver whose numbers nobody knows has others than those that are known.
    STUB_CODES: row.knownCodes ? '0' : '5000',
    'STUB_NAME(x)': '#x',
    'STUB_TEXT(x)': 'STUB_NAME(x)',
  };
  const lines = Object.entries(defined).map(([name, value]) => `#define ${name} ${value}`);
  return `#define _GNU_SOURCE\n${lines.join('\n')}\n#define STUB_SHIM \\\n${stringOf(
    shimText(row, a),
  ).replaceAll('\n', ' \\\n')}\n`;
}

/** Exports of a symbol table, without the symbols that are to be left out. */
function exportsOf(
  symbols: Readonly<Partial<Record<Part, string | readonly string[]>>>,
  omit: readonly string[],
): string {
  const parts = Object.keys(symbols) as (DriverPart | CompilerPart)[];
  return parts
    .flatMap((part) => {
      const [name] = namesOf(symbols[part]);
      return name === undefined || omit.includes(name) ? [] : [exported(part, name)];
    })
    .join('\n');
}

/**
 * Builds the stub of a row into a folder: `lib` with the driver and the run-time compiler, `bin`
 * with the offline compiler. Throws an Error with the C compiler's text.
 */
export function buildStub(row: GpuRow, into: string, options: StubOptions = {}): StubPlaces {
  const compiler = stubCompiler();
  if (compiler === undefined) throw new Error('no C compiler: cc, gcc and clang are not on PATH');
  const architecture =
    row.architectures.find(({ name }) => name === options.architecture) ?? row.architectures[0];
  const [libraries, commands] = [join(into, 'lib'), join(into, 'bin')];
  for (const path of [libraries, commands]) mkdirSync(path, { recursive: true });
  const head = `${configuration(row, architecture, compiler)}${read('compiler.c')}`;
  const omit = options.omit ?? [];
  const runtime = options.withoutCompiler === true ? undefined : row.compiler;
  const inDriver = runtime?.libraries.length === 0 ? exportsOf(runtime.symbols, omit) : '';
  const names = shimText(row, architecture).split('typedef struct')[0] ?? '';
  const types = `${kernelTypes}${names.split('\n').slice(0, 5).join('\n')}\n`;
  const driver = `${head}${types}${read('driver.c')}${exportsOf(row.symbols, omit)}\n${inDriver}`;
  const build = (text: string, path: string, flags: readonly string[]): void => {
    const source = `${path}.c`;
    writeFileSync(source, text);
    const all = ['-std=gnu11', '-O1', '-w', ...flags, source, '-o', path, '-pthread', '-ldl'];
    const { status, stderr } = spawnSync(compiler, all, { encoding: 'utf8' });
    rmSync(source);
    if (status !== 0) throw new Error(`${path}: ${stderr}`);
  };
  const shared = ['-shared', '-fPIC', '-fvisibility=hidden'];
  build(driver, join(libraries, row.libraries[0] ?? 'driver.so'), shared);
  const own = runtime?.libraries[0];
  if (runtime !== undefined && own !== undefined) {
    build(`${head}${exportsOf(runtime.symbols, omit)}`, join(libraries, own), shared);
  }
  // A row with a run-time compiler is tried without its command, which would hide that one's loss.
  if (row.compiler === undefined && row.offline !== undefined) {
    build(`#define STUB_PROGRAM\n${head}`, join(commands, row.offline.command), []);
  }
  return { libraries: [libraries], commands: [commands] };
}

/** Types that driver and kernels share; the names of the shim are not the driver's. */
const kernelTypes = `
typedef struct { unsigned x, y, z; } claw_three;
typedef struct {
  const char *name;
  void (*call)(void **parameters);
  const char *parameters;
  unsigned long long shared_bytes;
  int bound;
  int waits;
} claw_kernel;
`;
