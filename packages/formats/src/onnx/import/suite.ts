/**
 * Runs ONNX backend test cases: imports each model, has it executed, compares with the stored
 * answer. Files come as (path, bytes); a case is a folder with model.onnx and test_data_set_K.
 */
import { decodeUtf8 } from '../../base/text.js';
import type { ModelProto, ValueInfo } from '../model.js';
import { readModel } from '../read.js';
import { type OnnxValue, readValue } from '../read-data.js';
import { type Graph, type HostTensor, isFailure } from './core.js';
import type { ImportOptions } from './import.js';
import { specializeModel } from './specialize.js';
import { refusalError } from './state.js';
import { type Comparison, compareValues, worst } from './suite-compare.js';
import { disputedCases } from './suite-disputed.js';
import { buildOutput, flattenInputs } from './suite-values.js';

export type Outcome = 'passed' | 'failed' | 'refused' | 'disputed' | 'crashed' | 'timeout';

export interface CaseResult {
  /** `suite/case`. */
  readonly name: string;
  readonly outcome: Outcome;
  readonly reason?: string;
  readonly maxError: number;
  /** Inputs whose values the program was made for, because shapes or texts depend on them. */
  readonly fixed: readonly string[];
  readonly ms: number;
}

export interface SuiteCase {
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Compare shape, dtype and distribution only. */
  readonly random: boolean;
}

/** Runs a graph; rejects with a refusal when the device cannot. `check` throws when time is up. */
export type Execute = (
  graph: Graph,
  inputs: readonly HostTensor[],
  check: () => void,
) => Promise<readonly HostTensor[]> | readonly HostTensor[];

export interface SuiteOptions {
  readonly filter?: RegExp;
  /** Milliseconds for one case; default 60,000. */
  readonly timeLimit?: number;
  readonly importOptions?: ImportOptions;
}

/** The cases among the files of an archive or folder, in order of their names. */
export function casesOf(files: ReadonlyMap<string, Uint8Array>): readonly SuiteCase[] {
  const folders = new Map<string, Map<string, Uint8Array>>();
  for (const [path, bytes] of files) {
    const found = /([^/]+\/[^/]+)\/(model\.onnx|test_data_set_\d+\/[^/]+\.pb)$/.exec(path);
    if (found === null) continue;
    const [, name = '', rest = ''] = found;
    const folder = folders.get(name) ?? new Map<string, Uint8Array>();
    folders.set(name, folder.set(rest, bytes));
  }
  const random = randomCases(files);
  return [...folders]
    .filter(([, inside]) => inside.has('model.onnx'))
    .map(([name, inside]) => ({ name, files: inside, random: random.has(name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Cases that the archive's index marks as random. */
function randomCases(files: ReadonlyMap<string, Uint8Array>): ReadonlySet<string> {
  const path = [...files.keys()].find((each) => each.endsWith('INDEX.json'));
  if (path === undefined) return new Set();
  const text = decodeUtf8(files.get(path) as Uint8Array) ?? '{}';
  const index = JSON.parse(text) as {
    readonly cases?: readonly { readonly case: string; readonly flags?: readonly string[] }[];
  };
  const marked = (index.cases ?? []).filter((each) =>
    each.flags?.some((flag) => flag.startsWith('random')),
  );
  return new Set(marked.map((each) => each.case));
}

/** Runs all cases that the filter lets through, one after the other. */
export async function* runSuite(
  files: ReadonlyMap<string, Uint8Array>,
  execute: Execute,
  options: SuiteOptions = {},
): AsyncGenerator<CaseResult> {
  for (const each of casesOf(files)) {
    if (options.filter?.test(each.name) === false) continue;
    yield await runCase(each, execute, options);
  }
}

class OutOfTime extends Error {}

/** One case, whatever happens in it. */
export async function runCase(
  each: SuiteCase,
  execute: Execute,
  options: SuiteOptions = {},
): Promise<CaseResult> {
  const start = Date.now();
  const limit = options.timeLimit ?? 60_000;
  const check = (): void => {
    if (Date.now() - start > limit) throw new OutOfTime(`more than ${limit} ms`);
  };
  const fixed: string[] = [];
  const end = (outcome: Outcome, reason = '', maxError = 0): CaseResult => {
    const base = { name: each.name, outcome, maxError, fixed, ms: Date.now() - start };
    return reason === '' ? base : { ...base, reason };
  };
  try {
    const { difference, maxError } = await compareCase(each, execute, options, check, fixed);
    if (difference === '') return end('passed', '', maxError);
    const proof = disputedCases[each.name];
    return proof === undefined
      ? end('failed', difference, maxError)
      : end('disputed', `${proof} (${difference})`, maxError);
  } catch (error) {
    if (error instanceof OutOfTime) return end('timeout', error.message);
    if (isFailure(error) && error.kind === 'refused') return end('refused', error.what);
    return end('crashed', error instanceof Error ? error.message : String(error));
  }
}

async function compareCase(
  each: SuiteCase,
  execute: Execute,
  options: SuiteOptions,
  check: () => void,
  fixed: string[],
): Promise<Comparison> {
  const model = readModel(each.files.get('model.onnx') as Uint8Array, {}, each.name);
  const sets = new Set(
    [...each.files.keys()].flatMap((path) => /^(test_data_set_\d+)\//.exec(path)?.[1] ?? []),
  );
  const results: Comparison[] = [];
  for (const set of sets) {
    const inputs = readValues(each, set, 'input', givenInputs(model));
    const expected = readValues(each, set, 'output', model.graph.outputs);
    const imported = specializeModel(model, inputs, {
      ...options.importOptions,
      fileName: each.name,
    });
    for (const name of imported.fixed) if (!fixed.includes(name)) fixed.push(name);
    if (imported.refusals.length > 0) throw refusalError(imported.refusals, each.name);
    const tensors = await execute(imported.graph, flattenInputs(imported, inputs), check);
    for (const { name, slot } of imported.outputs) {
      const wanted = expected.get(name);
      if (wanted === undefined) continue;
      results.push(compareValues(buildOutput(slot, tensors), wanted, each.random));
    }
  }
  return worst(results);
}

/** Inputs that data files number: those without an initializer. */
function givenInputs(model: ModelProto): readonly ValueInfo[] {
  const initialized = new Set(model.graph.initializers.map((each) => each.name));
  return model.graph.inputs.filter((each) => !initialized.has(each.name));
}

function readValues(
  each: SuiteCase,
  set: string,
  role: 'input' | 'output',
  infos: readonly ValueInfo[],
): ReadonlyMap<string, OnnxValue> {
  const values = new Map<string, OnnxValue>();
  for (const [index, { name, type }] of infos.entries()) {
    const path = `${set}/${role}_${index}.pb`;
    const bytes = each.files.get(path);
    if (bytes === undefined || type === null) continue;
    values.set(name, readValue(bytes, type, {}, path));
  }
  return values;
}
