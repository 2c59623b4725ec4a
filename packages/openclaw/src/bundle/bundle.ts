/**
 * What a bundle holds: the model with its weights by hash, the facts of the chip it was compiled
 * for, and the compiled kernels. The plan is derived again from model and facts, which needs
 * neither compiler nor chip; the hash of the kernels' text proves that it is the same plan.
 */
import { type Precision, precisions, type Target } from '@open-claw/core/face';
import { failure } from '@open-claw/core/internal';
import {
  loadExternalData,
  type ModelProto,
  mapTensors,
  readModel,
  validateModel,
  writeModel,
} from '@open-claw/formats';
import type { Sizes } from '../model/ports.js';
import {
  damaged,
  listOf,
  objectOf,
  readContainer,
  sha256,
  textOf,
  wholeOf,
  writeContainer,
} from './format.js';
import type { Binary, Source } from './parts.js';

export interface Bundle {
  /** Version of OpenCLAW that made it: another one may plan differently. */
  readonly version: string;
  readonly plugin: string;
  readonly target: Target;
  readonly name: string;
  readonly sizes: Sizes;
  readonly precision: Precision;
  readonly proto: ModelProto;
  /** By `sourceHash`. */
  readonly binaries: ReadonlyMap<string, Binary>;
  /** What the device needs to open where there is no compiler. */
  readonly runtime: Uint8Array | undefined;
}

/** Smaller tensors stay in the model. */
const leastWeightBytes = 1024;
const mostBinaries = 4096;
const mostEntries = 2 ** 20;

export const sourceHash = ({ language, target, text, bytes }: Source): string =>
  sha256(
    Buffer.concat([
      Buffer.from(JSON.stringify([language, target, text ?? null])),
      bytes ?? Buffer.alloc(0),
    ]),
  );

export function writeBundle(bundle: Bundle): Uint8Array {
  const { version, plugin, target, name, sizes, precision, binaries, runtime } = bundle;
  const sections: Uint8Array[] = [];
  const put = (bytes: Uint8Array): string => {
    sections.push(bytes);
    return sha256(bytes);
  };
  const weights = new Set<string>();
  const proto = mapTensors(bundle.proto, (tensor) => {
    const { rawData, ...rest } = tensor;
    if (rawData === undefined || rawData.length < leastWeightBytes) return tensor;
    const hash = put(rawData);
    weights.add(hash);
    return { ...rest, externalData: [{ key: 'location', value: hash }] };
  });
  const fields = {
    version,
    plugin,
    target,
    name,
    sizes,
    precision,
    model: put(writeModel(proto)),
    weights: [...weights],
    runtime: runtime === undefined ? null : put(runtime),
    binaries: [...binaries].map(([source, { bytes, ...rest }]) => ({
      ...rest,
      source,
      bytes: put(bytes),
    })),
  };
  return writeContainer(fields, sections);
}

/** Throws OC-BUNDLE-01 where something is not as it should be, OC-BUNDLE-02 for another format. */
export function readBundle(bytes: Uint8Array): Bundle {
  const { fields, sections } = readContainer(bytes);
  const sectionOf = (hash: unknown, name: string): Uint8Array => {
    const content = sections.get(textOf(hash, name));
    if (content === undefined) throw damaged(`${name} names a section that is not there`);
    return content;
  };
  const weights = new Set(
    listOf(fields['weights'], 'weights', mostEntries).map((hash) => textOf(hash, 'weights')),
  );
  const fileName = textOf(fields['name'], 'name');
  const structure = readModel(sectionOf(fields['model'], 'model'), {}, fileName);
  const proto = loadExternalData(structure, (location) => {
    if (!weights.has(location)) throw damaged('the model names weights that are not there');
    return sectionOf(location, 'weights');
  });
  validateModel(proto, { fileName });
  const precision = precisions.find((each) => each === fields['precision']);
  if (precision === undefined) throw damaged('precision is none');
  const target = targetOf(fields['target']);
  const binaries = listOf(fields['binaries'], 'binaries', mostBinaries).map((each) => {
    const { source, bytes: hash, ...facts } = objectOf(each, 'binary');
    const binary = { ...binaryOf(facts), bytes: sectionOf(hash, 'binary') };
    return [textOf(source, 'source'), binary] as const;
  });
  const runtime = fields['runtime'];
  return {
    version: textOf(fields['version'], 'version'),
    plugin: textOf(fields['plugin'], 'plugin'),
    target,
    name: fileName,
    sizes: sizesOf(fields['sizes']),
    precision,
    proto,
    binaries: new Map(binaries),
    runtime: runtime === null ? undefined : sectionOf(runtime, 'runtime'),
  };
}

/** The facts are those of a plug-in's target: what is used of them first is looked at here. */
function targetOf(value: unknown): Target {
  const fields = objectOf(value, 'target');
  textOf(fields['id'], 'target');
  textOf(fields['language'], 'language');
  for (const name of ['cores', 'vectorBytes', 'maxBufferBytes', 'memoryBytes']) {
    wholeOf(fields[name], name);
  }
  for (const name of ['spaces', 'matrixUnits', 'compute']) listOf(fields[name], name, 1024);
  return fields as unknown as Target;
}

function sizesOf(value: unknown): Sizes {
  const sizes: Record<string, number> = Object.create(null);
  for (const [name, size] of Object.entries(objectOf(value, 'sizes'))) {
    sizes[name] = wholeOf(size, 'size');
  }
  return sizes;
}

function binaryOf(facts: Readonly<Record<string, unknown>>): Omit<Binary, 'bytes'> {
  const text = (name: string): string => textOf(facts[name], name);
  return {
    format: text('format'),
    target: text('target'),
    toolchain: text('toolchain'),
    entries: listOf(facts['entries'], 'entries', mostEntries).map(entryOf),
  };
}

function entryOf(value: unknown): Binary['entries'][number] {
  const fields = objectOf(value, 'entry');
  const whole = (name: string): number => wholeOf(fields[name], name);
  const group = listOf(fields['group'], 'group', 3).map((size) => wholeOf(size, 'group'));
  const [x, y, z] = group;
  if (x === undefined || y === undefined || z === undefined) throw damaged('group has no 3 sizes');
  const indexType = fields['indexType'];
  if (indexType !== 'i32' && indexType !== 'i64') throw damaged('indexType is none');
  return {
    name: textOf(fields['name'], 'name'),
    group: [x, y, z],
    sharedBytes: whole('sharedBytes'),
    scratchBytes: whole('scratchBytes'),
    buffers: listOf(fields['buffers'], 'buffers', 1024).map((each) => {
      const { name, write } = objectOf(each, 'buffer');
      return { name: textOf(name, 'buffer'), write: write === true };
    }),
    sizes: listOf(fields['sizes'], 'sizes', 1024).map((size) => textOf(size, 'sizes')),
    indexType,
    axes: whole('axes'),
  };
}

/** Throws OC-BUNDLE-02 where another version than ours made the bundle. */
export function checkVersion({ version }: Bundle, ours: string): void {
  if (version === ours) return;
  const details = { made: `OpenCLAW ${version}`, have: `OpenCLAW ${ours}` };
  throw failure('OC-BUNDLE-02', details, { kind: 'refused' });
}
