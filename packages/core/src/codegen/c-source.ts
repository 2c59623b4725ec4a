/** The C language without its printer: what a device needs that runs kernels printed before. */
import { build } from '../base/build.js';
import { internal } from '../base/errors.js';
import type { Language } from './language.js';

/** Between the prelude and every kernel of a source. */
export const separator = '/* --- kernel --- */\n';

/** A C source as up to `count` sources with the same kernels, to be compiled side by side. */
export function splitSource(text: string, count: number): readonly string[] {
  const [prelude = '', ...kernels] = text.split(separator);
  const size = Math.max(1, Math.ceil(kernels.length / count));
  const pieces = Math.ceil(kernels.length / size);
  return Array.from({ length: pieces }, (_, piece) =>
    [prelude, ...kernels.slice(piece * size, (piece + 1) * size)].join(separator),
  );
}

let printer: Language['emit'] | undefined;

/** The module of the printer says that it is there. */
export function providePrinter(emit: Language['emit']): Language {
  printer = emit;
  return { name: 'c', build, emit };
}

/** Prints as soon as the printer is loaded: by its `ready`, or with the door of the core. */
export const emitLater: Language['emit'] = (kernels, target) => {
  if (printer === undefined) throw internal('the printer of C is not loaded');
  return printer(kernels, target);
};
