/** Libraries of a row as calls by part: opened at run time only, symbols looked up once. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';
import { type Part, signatures } from './signatures.table.js';

/** What calls take; arrays are passed in place and must lie outside the JavaScript heap. */
export type Argument =
  | number
  | bigint
  | string
  | null
  | readonly string[]
  | NodeJS.TypedArray
  | Dims
  | (string | null)[];

export interface Dims {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

export type SymbolTable = Readonly<Partial<Record<Part, string | readonly string[]>>>;

export interface Calls {
  /** Libraries that were opened. */
  readonly names: readonly string[];
  /** Whether the library says that it is a stub. */
  readonly stub: boolean;
  has(part: Part): boolean;
  /** Symbol that plays a part, or its first name where there is none. */
  symbol(part: Part): string;
  /** The code that the call gives. */
  call(part: Part, ...values: readonly Argument[]): number;
  /** As call, on another thread. */
  callAside(part: Part, ...values: readonly Argument[]): Promise<number>;
  /** What the library says about a code; empty where it says nothing. */
  text(part: 'errorText' | 'errorTextOut' | 'programErrorText', code: number): string;
  /** Where an array lies. */
  addressOf(array: NodeJS.TypedArray | ArrayBuffer): bigint;
}

type Koffi = typeof import('koffi');
type Library = ReturnType<Koffi['load']>;
type Bound = ReturnType<Library['func']>;

export const namesOf = (symbol: string | readonly string[] | undefined): readonly string[] =>
  symbol === undefined ? [] : typeof symbol === 'string' ? [symbol] : symbol;

/** Run-time compilers recurse deeply; koffi gives other threads 128 KiB unless asked. */
const compilerStackBytes = 8 * 2 ** 20;

/** Settings are taken before anybody in the process has opened a library; else they stay. */
function growStacks(koffi: Koffi): void {
  try {
    koffi.config({ async_stack_size: compilerStackBytes });
  } catch {}
}

/** The package that calls libraries; a text says why there is none. */
export function loadKoffi(): Koffi | string {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    growStacks(koffi);
    return koffi;
  } catch (error) {
    return `the package koffi cannot be loaded (${firstLine(error)})`;
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/** Where libraries are looked for: by the system's loader and in folders, or in folders only. */
export interface Places {
  readonly system: boolean;
  readonly folders: readonly string[];
}

/** The first of these names that opens; a text says what was tried. */
function openFirst(
  koffi: Koffi,
  names: readonly string[],
  places: Places,
): { readonly library: Library; readonly name: string } | string {
  const inFolders = names.flatMap((name) => places.folders.map((folder) => join(folder, name)));
  const candidates = [...(places.system ? names : []), ...inFolders.filter(existsSync)];
  let reason = '';
  for (const name of candidates) {
    try {
      return { library: koffi.load(name), name };
    } catch (error) {
      // A file that is there and does not open says more than one that is not.
      const said = firstLine(error);
      if (isAbsolute(name) || !/no such file/i.test(said)) reason = said;
    }
  }
  const tried = names.join(', ');
  return `none of ${tried} opens${reason === '' ? '' : ` (${reason})`}`;
}

/**
 * Opens the first library of `names` that is there, and those of `companions` that are, and binds
 * the symbols. A text says why nothing opens.
 */
export function openCalls(
  names: readonly string[],
  companions: readonly string[],
  symbols: SymbolTable,
  places: Places,
): Calls | string {
  const koffi = loadKoffi();
  if (typeof koffi === 'string') return koffi;
  const main = openFirst(koffi, names, places);
  if (typeof main === 'string') return main;
  const beside = companions.flatMap((name) => {
    const opened = openFirst(koffi, [name], places);
    return typeof opened === 'string' ? [] : [opened];
  });
  return bind(koffi, [main, ...beside], symbols);
}

function bind(
  koffi: Koffi,
  opened: readonly { readonly library: Library; readonly name: string }[],
  symbols: SymbolTable,
): Calls {
  const types = typesOf(koffi);
  const bound = new Map<string, { readonly name: string; readonly call: Bound }>();
  for (const part of Object.keys(symbols) as Part[]) {
    const { parameters, result } = signatures[part];
    const inputs = parameters.map((kind) => types[kind]);
    for (const name of namesOf(symbols[part])) {
      if (bound.has(part)) continue;
      for (const { library } of opened) {
        const call = find(library, name, result === 'text' ? 'const char *' : 'int', inputs);
        if (call === undefined) continue;
        bound.set(part, { name, call });
        break;
      }
    }
  }
  const get = (part: Part): Bound => {
    const found = bound.get(part);
    if (found === undefined) throw new Error(`no symbol for ${part}`);
    return found.call;
  };
  return {
    names: opened.map(({ name }) => name),
    stub: opened.some(({ library }) => find(library, 'claw_stub_driver', 'int', []) !== undefined),
    has: (part) => bound.has(part),
    symbol: (part) => bound.get(part)?.name ?? namesOf(symbols[part])[0] ?? part,
    call: (part, ...values) => get(part)(...values) as number,
    callAside: (part, ...values) =>
      new Promise((resolve, reject) => {
        get(part).async(...values, (error: unknown, code: number) => {
          // The arrays must live until the call has ended.
          void values;
          if (error === null || error === undefined) resolve(code);
          else reject(error as Error);
        });
      }),
    text: (part, code) => {
      if (!bound.has(part)) return '';
      if (part !== 'errorTextOut') return String(get(part)(code) ?? '');
      const out: (string | null)[] = [null];
      get(part)(code, out);
      return String(out[0] ?? '');
    },
    addressOf: (array) => BigInt(koffi.address(array)),
  };
}

function find(
  library: Library,
  name: string,
  result: string,
  inputs: readonly (string | object)[],
): Bound | undefined {
  try {
    return library.func(name, result, inputs as string[]);
  } catch {
    return undefined;
  }
}

let dims: object | undefined;

function typesOf(koffi: Koffi) {
  // A type of koffi may be named once per process only.
  dims ??= koffi.struct({ x: 'unsigned int', y: 'unsigned int', z: 'unsigned int' });
  const pointer = 'void *';
  return {
    i32: 'int',
    u32: 'unsigned int',
    u64: 'uint64_t',
    size: 'size_t',
    address: 'uint64_t',
    handle: pointer,
    handleIn: pointer,
    text: 'const char *',
    strings: 'const char **',
    bytes: pointer,
    dims,
    parameters: pointer,
    outHandle: pointer,
    outI32: pointer,
    outSize: pointer,
    outFloat: pointer,
    outBytes: pointer,
    outText: koffi.out(koffi.pointer('const char *')),
  } as const;
}

/** Arrays that calls write, outside the JavaScript heap, where nothing moves them. */
export const outHandle = (): BigUint64Array => new BigUint64Array(new ArrayBuffer(8));
export const outI32 = (): Int32Array => new Int32Array(new ArrayBuffer(4));
export const outFloat = (): Float32Array => new Float32Array(new ArrayBuffer(4));
export const outBytes = (bytes: number): Uint8Array => new Uint8Array(new ArrayBuffer(bytes));

/** The text that a call has put into an array, up to its end mark. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
