/**
 * Traces: which symbols of a driver were called and what they gave, as lines of JSON, so that the
 * owner of a card can send one; and replays, which walk again with a trace in place of the driver.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DevicePlugin, TraceReport } from '@open-claw/core/device';
import { type Argument, type Calls, openCalls } from './calls.js';
import { meaningOf } from './failures.js';
import { type CudaOptions, pluginOf } from './plugin.js';
import type { GpuRow } from './row.js';
import { type Part, signatures } from './signatures.table.js';
import { type Line, readTrace, type TextLine } from './trace-lines.js';
import { type WalkStep, walk } from './walk.js';

/** Longer results are kept by their beginning, and of code no more than its head. */
const longestOut = 64 * 1024;
const longestCode = 64;

const isArray = (value: Argument | undefined): value is NodeJS.TypedArray =>
  ArrayBuffer.isView(value);

const base64 = (array: NodeJS.TypedArray, most: number): string =>
  Buffer.from(array.buffer, array.byteOffset, Math.min(array.byteLength, most)).toString('base64');

/** Arrays that a call writes; the copy of unspecified direction writes its first one. */
function written(part: Part, values: readonly Argument[]): readonly NodeJS.TypedArray[] {
  const first = values[0];
  if (part === 'copy') return isArray(first) ? [first] : [];
  return signatures[part].parameters.flatMap((kind, i) => {
    const value = values[i];
    return kind.startsWith('out') && isArray(value) ? [value] : [];
  });
}

/** Whether a call writes later than it returns. */
const isLate = (part: Part): boolean => part === 'copyToHost' || part === 'copy';

function recording(row: GpuRow, calls: Calls, lines: (() => Line)[]): Calls {
  const texts = new Set<number>();
  const note = (part: Part, values: readonly Argument[], code: number): number => {
    // How often a stream is asked depends on the clock: only its last answer counts.
    if (part === 'streamQuery' && meaningOf(row, calls, code) === 'notReady') return code;
    const arrays = written(part, values);
    const say = (out: readonly string[]): Line => ({
      part,
      symbol: calls.symbol(part),
      code,
      ...(out.length > 0 ? { out } : {}),
    });
    const most = part === 'programCode' ? longestCode : longestOut;
    const kept = (): readonly string[] => arrays.map((array) => base64(array, most));
    const now = kept();
    lines.push(() => say(isLate(part) ? kept() : now));
    return code;
  };
  return {
    ...calls,
    call: (part, ...values) => note(part, values, calls.call(part, ...values)),
    callAside: async (part, ...values) =>
      note(part, values, await calls.callAside(part, ...values)),
    text: (part, code) => {
      const text = calls.text(part, code);
      if (!texts.has(code)) lines.push(() => ({ text, of: code }));
      texts.add(code);
      return text;
    },
  };
}

/** The walk with a row's driver as lines of JSON. Never rejects: what fails is in the lines. */
export async function traceRow(row: GpuRow, options: CudaOptions = {}): Promise<string> {
  const folders = (options.places?.libraries ?? row.folders).length;
  const lines: (() => Line)[] = [() => ({ trace: 1, row: row.name, folders })];
  const open: typeof openCalls = (names, companions, symbols, places) => {
    const calls = (options.openCalls ?? openCalls)(names, companions, symbols, places);
    if (typeof calls === 'string') {
      lines.push(() => ({ library: names, absent: calls }));
      return calls;
    }
    const parts = (Object.keys(symbols) as Part[]).filter((part) => calls.has(part));
    const bound = Object.fromEntries(parts.map((part) => [part, calls.symbol(part)]));
    lines.push(() => ({ library: calls.names, stub: calls.stub, symbols: bound }));
    return recording(row, calls, lines);
  };
  // A cache of its own: the compiler shall be called.
  const cache = mkdtempSync(join(tmpdir(), 'openclaw-'));
  try {
    const plugin = pluginOf(row, { ...options, cache, openCalls: open });
    const compile: DevicePlugin['compile'] = async (source, target) => {
      const made = await plugin.compile(source, target);
      const bytes = made.bytes.byteLength;
      const compiled = base64(made.bytes, longestCode);
      if (row.compiler === undefined) {
        lines.push(() => ({ compiled, bytes, toolchain: made.toolchain }));
      }
      return made;
    };
    const steps = await walk({ ...plugin, compile });
    const all = [...lines.map((line) => line()), ...steps];
    return `${all.map((line) => JSON.stringify(line)).join('\n')}\n`;
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/**
 * Walks with the trace of one row in place of the driver, and says where the row differs from it.
 * Throws OC-TRACE-01.
 */
export const replayTrace = (row: GpuRow, trace: string): Promise<TraceReport> =>
  replayLines(row, readTrace(trace)[0] ?? []);

/** As replayTrace, by lines that are read. */
export async function replayLines(row: GpuRow, lines: readonly Line[]): Promise<TraceReport> {
  const differences: string[] = [];
  const [head] = lines;
  const name = head !== undefined && 'trace' in head ? head.row : '';
  if (name !== row.name) differences.push(`the trace is of row "${name}", not "${row.name}"`);
  const opened = lines.filter((line) => 'library' in line);
  const calls = lines.filter((line) => 'part' in line);
  const recorded = lines.filter((line) => 'step' in line);
  let at = 0;
  let asked = 0;
  const play = (part: Part, values: readonly Argument[], symbol: string): number => {
    const line = calls[at];
    if (line === undefined || line.symbol !== symbol) {
      const there = line === undefined ? 'nothing' : line.symbol;
      throw new Error(`call ${at + 1} is ${symbol}; the trace has ${there}`);
    }
    at++;
    for (const [i, array] of written(part, values).entries()) {
      const bytes = Buffer.from(line.out?.[i] ?? '', 'base64');
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(
        bytes.subarray(0, array.byteLength),
      );
    }
    return line.code;
  };
  const open: typeof openCalls = () => {
    const library = opened[asked++];
    if (library === undefined) return 'the trace has no such library';
    if (library.absent !== undefined) return library.absent;
    const symbols = library.symbols ?? {};
    return {
      names: library.library,
      stub: library.stub === true,
      has: (part) => symbols[part] !== undefined,
      symbol: (part) => symbols[part] ?? part,
      call: (part, ...values) => play(part, values, symbols[part] ?? part),
      callAside: async (part, ...values) => play(part, values, symbols[part] ?? part),
      text: (_, code) => lines.find((l): l is TextLine => 'text' in l && l.of === code)?.text ?? '',
      addressOf: () => 0n,
    };
  };
  const cache = mkdtempSync(join(tmpdir(), 'openclaw-'));
  let steps: readonly WalkStep[] = [];
  try {
    // Nothing is looked up: the trace answers as often as its driver was asked.
    const folders = head !== undefined && 'trace' in head ? head.folders : 0;
    const libraries = Array.from({ length: folders }, (_, i) => `folder ${i}`);
    const places = { libraries, commands: [] };
    const plugin = pluginOf(row, { cache, places, openCalls: open });
    const made = lines.find((line) => 'compiled' in line);
    const compile: DevicePlugin['compile'] = async ({ entries }, target) => {
      const bytes = new Uint8Array(made?.bytes ?? 0);
      bytes.set(Buffer.from(made?.compiled ?? '', 'base64').subarray(0, bytes.byteLength));
      const toolchain = made?.toolchain ?? '';
      return { format: `cuda/${row.name}`, target: target.id, toolchain, bytes, entries };
    };
    steps = await walk(made === undefined ? plugin : { ...plugin, compile });
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
  for (const [i, { step, outcome }] of recorded.entries()) {
    const own = steps[i];
    if (own === undefined) differences.push(`${step}: the row does not get there`);
    else if (own.outcome !== outcome) {
      differences.push(`${step}: ${own.outcome}; the trace has ${outcome}`);
    }
  }
  for (const { step, outcome } of steps.slice(recorded.length)) {
    differences.push(`${step}: ${outcome}; the trace ends before`);
  }
  if (at < calls.length) differences.push(`${calls.length - at} calls of the trace are not made`);
  const stub = opened.some((library) => library.stub === true);
  return { row: row.name, agrees: differences.length === 0, stub, steps, differences };
}
