/** From text to code: by the row's run-time compiler, else by its command on PATH, else refused. */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { failure, type GpuDialect, gpuDialects } from '@open-claw/core/device';
import { type Cache, hashOf } from '@open-claw/kernel-cache';
import {
  type Calls,
  type openCalls,
  outBytes,
  outHandle,
  outI32,
  type Places,
  textOf,
} from './calls.js';
import type { GpuRow, OfflineCompiler, RuntimeCompiler } from './row.js';
import { neededCompilerParts } from './signatures.table.js';

/** A way to compile for a row; `identity` is what the cache tells compilers apart by. */
export interface Compiler {
  readonly identity: string;
  readonly format: string;
  /** Throws OC-DEVICE-07 with the compiler's own text. */
  compile(text: string, architecture: string): Promise<Uint8Array>;
}

/** Where libraries and commands are looked for, and who opens a library. */
export interface CompilerPlaces {
  readonly libraries: Places;
  readonly commands: readonly string[];
  readonly open: typeof openCalls;
}

const fill = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');

export const tokensOf = (row: GpuRow): GpuDialect =>
  typeof row.dialect === 'string' ? gpuDialects[row.dialect] : row.dialect.tokens;

/** The compiler of a row. Throws OC-DEVICE-11, which says what is missing and what to install. */
export function compilerOf(row: GpuRow, places: CompilerPlaces): Compiler {
  const reasons: string[] = [];
  if (row.compiler !== undefined) {
    const found = runtimeCompiler(row, row.compiler, places);
    if (typeof found !== 'string') return found;
    reasons.push(found);
  }
  if (row.offline !== undefined) {
    const path = findCommand(row.offline.command, places.commands);
    if (path !== undefined) return offlineCompiler(row, row.offline, path);
    reasons.push(`${row.offline.command} is not on PATH`);
  }
  const details = { row: row.title, reason: reasons.join('; '), install: row.install.compiler };
  throw failure('OC-DEVICE-11', details, { kind: 'unavailable', retry: 'other-device' });
}

function runtimeCompiler(
  row: GpuRow,
  compiler: RuntimeCompiler,
  { libraries, open }: CompilerPlaces,
): Compiler | string {
  const inDriver = compiler.libraries.length === 0;
  const names = inDriver ? row.libraries : compiler.libraries;
  const calls = open(names, [], compiler.symbols, libraries);
  if (typeof calls === 'string') return calls;
  const missing = neededCompilerParts.filter((part) => !calls.has(part));
  if (missing.length > 0) {
    return `${calls.names[0]} lacks ${missing.map((part) => calls.symbol(part)).join(', ')}`;
  }
  return {
    identity: `${calls.names[0]} ${versionOf(calls)}`,
    format: compiler.format,
    compile: (text, architecture) => {
      const options = [...compiler.options, ...tokensOf(row).options];
      if (compiler.architectureOption !== '') {
        options.unshift(fill(compiler.architectureOption, { architecture }));
      }
      return compileProgram(calls, text, options);
    },
  };
}

function versionOf(calls: Calls): string {
  if (!calls.has('compilerVersion')) return '';
  const [major, minor] = [outI32(), outI32()];
  return calls.call('compilerVersion', major, minor) === 0 ? `${major[0]}.${minor[0]}` : '';
}

async function compileProgram(
  calls: Calls,
  text: string,
  options: readonly string[],
): Promise<Uint8Array> {
  const program = outHandle();
  const check = (code: number, part: Parameters<Calls['symbol']>[0], log = ''): void => {
    if (code === 0) return;
    const said = calls.text('programErrorText', code) || `code ${code}`;
    const reason = log.trim() === '' ? `${calls.symbol(part)}: ${said}` : log.trim();
    throw failure('OC-DEVICE-07', { reason }, { cause: log });
  };
  check(calls.call('programCreate', program, text, 'kernels', 0, null, null), 'programCreate');
  const handle = program[0] as bigint;
  try {
    const code = await calls.callAside('programCompile', handle, options.length, options);
    if (code !== 0) check(code, 'programCompile', logOf(calls, handle));
    const size = outHandle();
    check(calls.call('programCodeSize', handle, size), 'programCodeSize');
    const bytes = codeBytes(calls, Number(size[0]));
    check(calls.call('programCode', handle, bytes), 'programCode');
    return bytes;
  } finally {
    if (calls.has('programDestroy')) calls.call('programDestroy', program);
  }
}

/** No kernel's code is larger; a size beyond it is a library's or a trace's mistake. */
const longestCode = 2 ** 28;

function codeBytes(calls: Calls, bytes: number): Uint8Array {
  if (bytes <= longestCode) return outBytes(bytes);
  const reason = `${calls.symbol('programCodeSize')} gives ${bytes} bytes`;
  throw failure('OC-DEVICE-07', { reason });
}

const longestLog = 2 ** 24;

function logOf(calls: Calls, program: bigint): string {
  if (!calls.has('programLogSize') || !calls.has('programLog')) return '';
  const size = outHandle();
  if (calls.call('programLogSize', program, size) !== 0) return '';
  const bytes = Number(size[0]);
  if (bytes > longestLog) return '';
  const log = outBytes(Math.max(1, bytes));
  return calls.call('programLog', program, log) === 0 ? textOf(log) : '';
}

/** A command in these folders, of which only absolute ones are looked into. */
export function findCommand(name: string, folders: readonly string[]): string | undefined {
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Folders of commands: beside the row's libraries, then PATH. */
export const commandFolders = (row: GpuRow): readonly string[] => [
  ...row.folders.map((folder) => join(dirname(folder), 'bin')),
  ...(process.env['PATH'] ?? '').split(delimiter),
];

function offlineCompiler(row: GpuRow, offline: OfflineCompiler, path: string): Compiler {
  return {
    identity: path,
    format: offline.format,
    compile: async (text, architecture) => {
      const folder = mkdtempSync(join(tmpdir(), 'openclaw-'));
      try {
        const input = join(folder, `kernels${offline.ending}`);
        const output = join(folder, 'kernels.out');
        writeFileSync(input, text, { mode: 0o600 });
        const values = { architecture, input, output };
        const listed = offline.arguments.map((argument) => fill(argument, values));
        const { status, said } = await call(path, [...tokensOf(row).options, ...listed], folder);
        if (status === 0) return readFileSync(output);
        const reason = said.trim() || `${path} ended with status ${status}`;
        throw failure('OC-DEVICE-07', { reason }, { cause: said });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

const longestOutput = 64 * 1024;
const longestMilliseconds = 600_000;

function call(
  path: string,
  args: readonly string[],
  folder: string,
): Promise<{ readonly status: number | null; readonly said: string }> {
  return new Promise((resolve) => {
    const child = spawn(path, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: longestMilliseconds,
    });
    let said = '';
    const take = (text: string): void => {
      if (said.length < longestOutput) said += text;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => resolve({ status: null, said: String(error) }));
    child.on('close', (status) => resolve({ status, said }));
  });
}

/** The code of a text, from the cache where it is known. */
export async function compileCached(
  row: GpuRow,
  compiler: Compiler,
  text: string,
  architecture: string,
  cache: Cache,
): Promise<Uint8Array> {
  const options = [...(row.compiler?.options ?? []), ...tokensOf(row).options].join('\n');
  const key = hashOf('1', row.name, compiler.identity, options, architecture, text);
  const kept = cache.find(key);
  if (kept?.[0] !== undefined) return kept[0];
  const code = await compiler.compile(text, architecture);
  cache.keep(key, [code]);
  return code;
}
