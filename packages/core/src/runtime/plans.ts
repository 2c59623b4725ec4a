/**
 * Programs of devices, kept between runs where the front door gives a place for them: what was
 * compiled once is read again, and the compiler is not even loaded. A plan is found by all that it
 * follows from: graph, constants, target, choices, and the build of compiler and language.
 */
import { build, isRolled } from '../base/build.js';
import { debug } from '../base/debug.js';
import type { HostTensor } from '../base/host-tensor.js';
import { noteLooks, smallElements } from '../base/looked-at.js';
import { readPlan, writePlan } from '../codegen/plan.js';
import type { Program } from '../codegen/program.js';
import type { CompileOptions } from '../compile.js';
import { type CanonicalGraph, canonicalGraph } from '../graph/canonical.js';
import type { Graph } from '../graph/node.js';
import { addProgram, choiceText, knownProgram } from './program-table.js';
import type { OpenDevice } from './registry.js';
import { tensorBytes } from './session.js';

/** A place that outlives the process. It hands out what was kept, unchanged, or nothing. */
export interface PlanStore {
  /** A name for content: collisions must be as good as impossible. */
  hashOf(...parts: readonly (string | Uint8Array)[]): string;
  find(key: string): readonly Uint8Array[] | undefined;
  /** May forget, and must not throw. */
  keep(key: string, parts: readonly (string | Uint8Array)[]): void;
  /** UTF-8 as text. */
  textOf(bytes: Uint8Array): string;
}

let store: PlanStore | undefined;

/** Gives the place for plans; without one nothing is kept. */
export function keepPlans(place: PlanStore | undefined): void {
  store = place;
}

/** The program of a graph for an open device: known, read, or compiled. */
export async function programFor(
  graph: Graph,
  { target, plugin }: OpenDevice,
  given: CompileOptions = {},
): Promise<Program> {
  const { language, overrides = [] } = plugin;
  const options = { overrides, ...given };
  const choices = choiceText(target, language.name, options);
  const known = knownProgram(graph, choices);
  if (known !== undefined) return known;
  const compileNow = async (): Promise<() => Program> => {
    const [{ compile }] = await Promise.all([import('../compile.js'), language.ready?.()]);
    return () => compile(graph, target, language, options);
  };
  // An operator of a device is code, and what is traced shall be seen.
  const isKept = isRolled() && language.build !== undefined && overrides.length === 0;
  if (store === undefined || !isKept || debug.level > 0) {
    return addProgram(graph, choices, (await compileNow())());
  }
  const canonical = canonicalGraph(graph);
  const key = keyOf(store, canonical, [build, language.build ?? '', choices]);
  const read = readKept(store, key, graph, canonical.constants);
  if (read !== undefined) return addProgram(graph, choices, read);
  const { result, looked } = noteLooks(await compileNow());
  const plan = writePlan(result, { graph, constants: canonical.constants });
  if (plan !== undefined) {
    const hashes = [...looked].map((tensor) => [
      canonical.constants.indexOf(tensor),
      contentHash(store as PlanStore, tensor),
    ]);
    if (hashes.every(([at]) => Number(at) >= 0)) {
      store.keep(key, [JSON.stringify(hashes), plan.text, plan.bytes]);
    }
  }
  return addProgram(graph, choices, result);
}

const contentHash = ({ hashOf }: PlanStore, tensor: HostTensor): string =>
  hashOf(tensorBytes(tensor));

/** Small constants count by content: the compiler may choose by it. */
function keyOf(
  { hashOf }: PlanStore,
  { text, constants }: CanonicalGraph,
  facts: readonly string[],
): string {
  const small = constants.filter(({ data }) => data.length <= smallElements);
  const contents = small.map((tensor) =>
    ArrayBuffer.isView(tensor.data) ? tensorBytes(tensor) : JSON.stringify(tensor.data),
  );
  return hashOf('plan', ...facts, text, ...contents);
}

/** A plan counts only where the large constants that shaped it are the same. */
function readKept(
  place: PlanStore,
  key: string,
  graph: Graph,
  constants: readonly HostTensor[],
): Program | undefined {
  const [looks, text, bytes] = place.find(key) ?? [];
  if (looks === undefined || text === undefined || bytes === undefined) return undefined;
  try {
    const hashes = JSON.parse(place.textOf(looks)) as readonly (readonly [number, string])[];
    const isSame = hashes.every(([at, hash]) => {
      const tensor = constants[at];
      return tensor !== undefined && contentHash(place, tensor) === hash;
    });
    if (!isSame) return undefined;
    return readPlan({ text: place.textOf(text), bytes }, { graph, constants });
  } catch {
    return undefined;
  }
}
