/** Programs from source or from their compiled form, with the compiler's words where it fails. */
import { failure, type OpenClawError } from '@open-claw/core/device';
import { nameOf } from './constants.js';
import type { Driver, Handle } from './driver.js';

export interface BuildPlace {
  readonly driver: Driver;
  readonly context: Handle;
  readonly device: Handle;
  readonly options: string;
}

/** Builds source text. Throws OC-DEVICE-07; its cause holds all that the compiler said. */
export async function buildSource(place: BuildPlace, text: string): Promise<Handle> {
  const { driver, context, device, options } = place;
  const { object, code } = driver.createProgram(context, text);
  if (code !== 0) throw failure('OC-DEVICE-07', { reason: nameOf(code) });
  const built = await driver.buildProgram(object, options);
  if (built === 0) return object;
  const log = driver.buildLog(object, device);
  driver.release('program', object);
  throw buildError(log, built, text);
}

/** Takes the compiled form; undefined where this driver does not want it. */
export async function buildCompiled(
  place: BuildPlace,
  compiled: Uint8Array,
): Promise<Handle | undefined> {
  const { driver, context, device, options } = place;
  const { object, code } = driver.createProgramFromBinary(context, device, compiled);
  if (code !== 0) return undefined;
  if ((await driver.buildProgram(object, options)) === 0) return object;
  driver.release('program', object);
  return undefined;
}

/** The first error that a compiler's log names, with the line of our source that it means. */
function buildError(log: string, code: number, text: string): OpenClawError {
  const lines = log.split('\n').map((line) => line.trim());
  const said = lines.find((line) => /error/i.test(line) && /\d/.test(line)) ?? lines[0];
  // Line and column, or the line alone, after whatever name the compiler gave the source.
  const place =
    /(?:\S*?[:(]|\b)(\d+)[:,]\d+[:)]*\s*/.exec(said ?? '') ??
    /\S*?[:(](\d+)[:)]+\s*/.exec(said ?? '');
  const source = text.split('\n')[Number(place?.[1]) - 1]?.trim();
  const message = said?.replace(place?.[0] ?? '', '').replace(/^:?\s*(fatal )?error:\s*/i, '');
  const known = place !== null && source !== undefined;
  const reason = known ? `line ${place[1]}: ${message}, in "${source}"` : said || nameOf(code);
  return failure('OC-DEVICE-07', { reason }, { cause: log || nameOf(code) });
}
