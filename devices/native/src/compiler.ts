/** The C compiler of the machine: found on PATH, tried once, called without a shell. */
import type { ChildProcess } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { failure, isFailure } from '@open-claw/core/device/contract';
import { type Cache, hashOf } from './cache.js';

export interface Compiler {
  readonly path: string;
  /** First line of --version: what it is, for people. */
  readonly name: string;
  /** All that --version says and its machine: part of every cache key. */
  readonly identity: string;
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

const longestOutput = 64 * 1024;

/** Runs a program with text on its standard input; resolves with status and joined output. */
async function call(
  path: string,
  args: readonly string[],
  options: { readonly input?: string; readonly folder?: string; readonly seconds: number },
): Promise<Ended> {
  // Loaded here: where the cache has every kernel, no process is started.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    const environment = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' };
    const place = options.folder === undefined ? {} : { TMPDIR: options.folder };
    const child: ChildProcess = spawn(path, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment, ...place },
      ...(options.folder === undefined ? {} : { cwd: options.folder }),
      timeout: options.seconds * 1000,
    });
    let output = '';
    const take = (text: string): void => {
      if (output.length < longestOutput) output += text;
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    // A compiler that ends early closes its input; its status says what happened.
    child.stdin?.on('error', () => {});
    child.on('error', (error) => resolve({ status: null, output: String(error) }));
    child.on('close', (status, signal) => {
      resolve({ status, output: signal === null ? output : `${output}\nended by ${signal}` });
    });
    child.stdin?.end(options.input ?? '');
  });
}

const plainNames = ['cc', 'gcc', 'clang'];

const foldersOnPath = (): readonly string[] =>
  (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));

function isRunnable(path: string): boolean {
  // Most folders have none, and an error would cost more than the question.
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Compilers by the name that has none of their version. */
function* plainCompilers(): Generator<string> {
  for (const name of plainNames) {
    for (const folder of foldersOnPath()) {
      const path = join(folder, name);
      if (isRunnable(path)) yield path;
    }
  }
}

/**
 * Compilers in the order in which they are tried: the system's choice, then the newest. Folders
 * are listed only where none of the first is taken: some hold thousands of programs.
 */
function* eachCompiler(): Generator<string> {
  yield* plainCompilers();
  const listed = foldersOnPath().flatMap((folder) => {
    try {
      const names = readdirSync(folder).filter((name) => /^(gcc|clang)-\d+$/.test(name));
      return names.map((name) => ({
        version: Number(name.split('-')[1]),
        path: join(folder, name),
      }));
    } catch {
      return [];
    }
  });
  const newest = listed.sort((a, b) => b.version - a.version);
  for (const { path } of newest) if (isRunnable(path)) yield path;
}

export const compilersOnPath = (): readonly string[] => [...eachCompiler()];

/** What a compiler says of itself; asked again when its file is another. */
async function identify(path: string, cache: Cache): Promise<Compiler | undefined> {
  const key = hashOf('compiler', path, factsOfFile(path));
  const kept = cache.find(key)?.[0];
  let output = kept === undefined ? '' : Buffer.from(kept).toString('utf8');
  if (kept === undefined) {
    const answer = await call(path, ['--version'], { seconds: 20 });
    if (answer.status !== 0) return undefined;
    output = answer.output;
    cache.keep(key, [Buffer.from(output, 'utf8')]);
  }
  return {
    path,
    name: output.split('\n')[0]?.trim() ?? path,
    identity: `${path}\n${output}\n${process.platform} ${process.arch}`,
  };
}

function factsOfFile(path: string): string {
  try {
    const { size, mtimeMs, ctimeMs, ino } = statSync(path);
    return `${realpathSync(path)} ${size} ${mtimeMs} ${ctimeMs} ${ino}`;
  } catch {
    return '';
  }
}

/**
 * The first compiler on PATH, or the wanted one, for which `works` resolves. Throws OC-NATIVE-03
 * with the reason of the first failure where there is none.
 */
export async function findCompiler<T>(
  works: (compiler: Compiler) => Promise<T>,
  cache: Cache,
  wanted?: string,
): Promise<{ readonly compiler: Compiler; readonly made: T }> {
  const silent: string[] = [];
  let reason: string | undefined;
  let cause: unknown;
  for (const path of wanted === undefined ? eachCompiler() : [wanted]) {
    const compiler = await identify(path, cache);
    if (compiler === undefined) {
      silent.push(path);
      continue;
    }
    try {
      return { compiler, made: await works(compiler) };
    } catch (error) {
      // A full disk is not the compiler's doing, and another one would not help.
      if (isFailure(error) && error.code !== 'OC-DEVICE-07') throw error;
      if (cause !== undefined) continue;
      cause = error;
      reason = `${path}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  const none = 'cc, gcc and clang are not on PATH';
  reason ??= silent.length === 0 ? none : `${silent.join(', ')}: cannot be started`;
  throw failure('OC-NATIVE-03', { reason }, { kind: 'unavailable', cause });
}

/** For all that is compiled here; kernels add the flags of their row. */
export const commonFlags: readonly string[] = ['-std=gnu11', '-O2', '-fPIC', '-shared', '-w'];

/** Integers wrap, memory is untyped, and floats are computed as written: never -ffast-math. */
export const kernelFlags: readonly string[] = [
  ...commonFlags,
  '-ftree-slp-vectorize',
  '-fwrapv',
  '-fno-strict-aliasing',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fvisibility=hidden',
  '-fno-asynchronous-unwind-tables',
];

/** Compiles one C text to a shared library; throws OC-DEVICE-07 with the compiler's text. */
async function build(
  compiler: Compiler,
  text: string,
  flags: readonly string[],
  folder: string,
): Promise<Uint8Array> {
  const { randomBytes } = await import('node:crypto');
  const out = join(folder, `build-${randomBytes(8).toString('hex')}`);
  const args = [...flags, '-x', 'c', '-', '-o', out, '-lm'];
  try {
    const { status, output } = await call(compiler.path, args, {
      input: text,
      folder,
      seconds: 600,
    });
    if (status !== 0) {
      if (/no space left/i.test(output)) {
        throw failure('OC-NATIVE-02', { path: folder, reason: 'ENOSPC' });
      }
      const reason = output.trim() || `${compiler.path} ended with status ${status}`;
      throw failure('OC-DEVICE-07', { reason }, { cause: reason });
    }
    return readFileSync(out);
  } finally {
    rmSync(out, { force: true });
  }
}

/** Shared libraries of several C texts, from the cache where it has them. */
export async function buildAll(
  compiler: Compiler,
  texts: readonly string[],
  flags: readonly string[],
  cache: Cache,
): Promise<readonly Uint8Array[]> {
  const key = hashOf('1', compiler.identity, flags.join('\n'), ...texts);
  const kept = cache.find(key);
  if (kept !== undefined && kept.length === texts.length) return kept;
  const built = await Promise.all(texts.map((text) => build(compiler, text, flags, cache.folder)));
  cache.keep(key, built);
  return built;
}
