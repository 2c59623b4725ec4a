/** Reads the files that `--input NAME=FILE` names. */
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import type { HostTensor } from '@open-claw/core/face';
import { failure, quoteText } from '@open-claw/core/internal';
import { readJsonTensor, readNpy, readNpz, readTensorFile } from '@open-claw/formats';
import type { ModelPort } from '../../model/ports.js';
import type { InputValue } from '../../model/values.js';
import { inputFailure } from './failure.js';
import { readImage } from './image.js';
import { readSound } from './sound.js';

/** Throws OC-USAGE-03, OC-INPUT-05, and what the readers throw. */
export function readInput(text: string, port: ModelPort): InputValue {
  const [path, query] = splitQuery(text);
  const bytes = readFile(path);
  const name = basename(path);
  switch (extname(path).toLowerCase()) {
    case '.npy':
      return readNpy(bytes, name);
    case '.npz':
      return fromArchive(bytes, name, port);
    case '.pb':
      return readTensorFile(bytes, {}, name);
    case '.json':
      return readJsonTensor(new TextDecoder().decode(bytes), port.dtype, name);
    case '.png':
    case '.jpg':
    case '.jpeg':
      return readImage(bytes, name, port, query);
    case '.wav':
      return readSound(bytes, name, port);
    default:
      throw inputFailure(name, 'its name has none of the endings that are read');
  }
}

/** The part behind `?` belongs to the name only where no file of the whole name is meant. */
function splitQuery(text: string): readonly [string, URLSearchParams] {
  const found = /^(.*\.(?:png|jpe?g))\?(.*)$/i.exec(text);
  return found === null
    ? [text, new URLSearchParams()]
    : [found[1] as string, new URLSearchParams(found[2])];
}

function readFile(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw failure('OC-USAGE-03', { path, reason }, { kind: 'usage', cause });
  }
}

function fromArchive(bytes: Uint8Array, name: string, port: ModelPort): HostTensor {
  const arrays = readNpz(bytes, {}, name);
  const [only] = arrays.size === 1 ? [...arrays.values()] : [];
  const found = arrays.get(port.name) ?? only;
  if (found !== undefined) return found;
  const has = [...arrays.keys()].map(quoteText).join(', ');
  throw inputFailure(name, `it has no array "${quoteText(port.name)}", only ${has}`);
}
