/**
 * Evaluation: pending nodes → one graph over canonical inputs → compiled once per structure →
 * run. Equal computations on other values find the same program.
 */
import type { HostTensor } from '../base/host-tensor.js';
import { graphOf, input, withInputs } from '../graph/build.js';
import type { Graph, Node } from '../graph/node.js';
import type { Device } from '../runtime/contract.js';
import { programFor } from '../runtime/plans.js';
import type { Resident } from '../runtime/pool.js';
import type { OpenDevice } from '../runtime/registry.js';
import { type LoadedExecutable, load } from '../runtime/run.js';
import { deviceFor, deviceNow } from './devices.js';
import { type Storage, storageOf } from './storage.js';
import { misuse } from './where.js';

/** A computation with its values taken out. */
export interface Recorded {
  readonly graph: Graph;
  /** Values of the graph's inputs, in order. */
  readonly leaves: readonly Node[];
}

/** Programs kept per device, the longest unused go first. */
const mostPrograms = 256;

const canonicalInputs = new Map<string, Node>();
const graphs = new Map<string, Graph>();
const loaded = new WeakMap<Device, Map<Graph, Promise<LoadedExecutable>>>();

function canonicalInput(index: number, { dtype, shape }: Node): Node {
  const key = `${index} ${dtype}[${shape.join(',')}]`;
  const known = canonicalInputs.get(key);
  if (known !== undefined) return known;
  const made = input(`t${index}`, { dtype, shape });
  canonicalInputs.set(key, made);
  return made;
}

/** Moves an entry to the end of the line and drops the first ones over the limit. */
function keep<K, V>(table: Map<K, V>, key: K, value: V, drop: (value: V) => void): V {
  table.delete(key);
  table.set(key, value);
  for (const [oldest, gone] of table) {
    if (table.size <= mostPrograms) break;
    table.delete(oldest);
    drop(gone);
  }
  return value;
}

const fixed = new WeakMap<Node, boolean>();

/** Whether a node is made of constants alone: it is then part of programs, known or not. */
export function isFixed(node: Node): boolean {
  for (const next of pendingOrder([node], (value) => fixed.has(value))) {
    if (fixed.has(next)) continue;
    fixed.set(next, next.op !== 'input' && next.inputs.every((value) => fixed.get(value) === true));
  }
  return fixed.get(node) === true;
}

/** A value is known; one that was released is computed again if it can be. */
function isLeaf(node: Node): boolean {
  const storage = storageOf(node);
  if (storage === undefined) return false;
  return node.op === 'input' || (!storage.isReleased && !isFixed(node));
}

/** Every node from the leaves up to the roots, each after its inputs; leaves are not entered. */
export function pendingOrder(roots: readonly Node[], leaf: (node: Node) => boolean): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    const stack = [{ node: root, next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const value = leaf(top.node) ? undefined : top.node.inputs[top.next++];
      if (value === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(value)) {
        seen.add(value);
        stack.push({ node: value, next: 0 });
      }
    }
  }
  return order;
}

/**
 * The graph of `roots`; `first` become its first inputs. Throws OC-TENSOR-05 where a value
 * belongs to a recording.
 */
export function record(roots: readonly Node[], first: readonly Node[] = []): Recorded {
  const leaves: Node[] = [];
  const map = new Map<Node, Node>();
  const add = (node: Node): void => {
    map.set(node, canonicalInput(leaves.length, node));
    leaves.push(node);
  };
  for (const node of first) add(node);
  const given = new Set(first);
  for (const node of pendingOrder(roots, (value) => given.has(value) || isLeaf(value))) {
    if (map.has(node)) continue;
    if (isLeaf(node)) add(node);
    else if (node.op === 'input') throw misuse('OC-TENSOR-05');
    else
      map.set(
        node,
        withInputs(
          node,
          node.inputs.map((value) => map.get(value) as Node),
        ),
      );
  }
  const inputs = leaves.map((node) => map.get(node) as Node);
  const outputs = roots.map((node) => map.get(node) as Node);
  const ids = (nodes: readonly Node[]): string => nodes.map(({ id }) => id).join(',');
  const key = `${ids(inputs)}>${ids(outputs)}`;
  const graph = graphs.get(key) ?? graphOf(inputs, outputs);
  return { graph: keep(graphs, key, graph, () => {}), leaves };
}

const ready = new WeakMap<Promise<LoadedExecutable>, LoadedExecutable>();

/** What executableOf gives, where it is loaded already. */
function executableNow(graph: Graph, { device }: OpenDevice): LoadedExecutable | undefined {
  const table = loaded.get(device);
  const known = table?.get(graph);
  if (table === undefined || known === undefined) return undefined;
  return ready.get(keep(table, graph, known, () => {}));
}

/** The graph's program on a device, loaded; shared by all that evaluate the same structure. */
function executableOf(graph: Graph, opened: OpenDevice): Promise<LoadedExecutable> {
  const table = loaded.get(opened.device) ?? new Map<Graph, Promise<LoadedExecutable>>();
  loaded.set(opened.device, table);
  const make = async (): Promise<LoadedExecutable> => load(await programFor(graph, opened), opened);
  const known = table.get(graph);
  const executable = known ?? make();
  if (known === undefined) {
    executable.then(
      (made) => ready.set(executable, made),
      () => table.delete(graph),
    );
  }
  return keep(table, graph, executable, (gone) => {
    gone.then((old) => old.dispose()).catch(() => {});
  });
}

/** The one device that the values ask for. Throws OC-TENSOR-02. */
function askedDevice(values: readonly Storage[]): string | undefined {
  let asked: string | undefined;
  for (const { device } of values) {
    if (device === undefined || device === asked) continue;
    if (asked !== undefined) {
      const all = new Set(values.flatMap((value) => value.device ?? []));
      throw misuse('OC-TENSOR-02', { devices: [...all].join(', ') });
    }
    asked = device;
  }
  return asked;
}

export interface Evaluated {
  readonly results: readonly (Resident | HostTensor)[];
  /** The device that the values asked for. */
  readonly device: string | undefined;
}

/** As `run`, within this call; undefined where that cannot be, and then nothing has happened. */
export function runNow(
  graph: Graph,
  values: readonly Storage[],
  preferred?: string,
): Evaluated | undefined {
  const device = askedDevice(values);
  const opened = deviceNow(device ?? preferred);
  const executable = opened && executableNow(graph, opened);
  if (opened === undefined || executable === undefined) return undefined;
  const inputs: Resident[] = [];
  for (const value of values) {
    const resident = value.onNow(opened);
    if (resident === undefined) return undefined;
    inputs.push(resident);
  }
  const results = executable.runResidentNow(inputs);
  return results && { results, device };
}

/** Runs a recorded graph on these values; on `preferred` where they ask for no device. */
export async function run(
  graph: Graph,
  values: readonly Storage[],
  preferred?: string,
): Promise<Evaluated> {
  const now = runNow(graph, values, preferred);
  if (now !== undefined) return now;
  const device = askedDevice(values);
  if (values.some(({ isReleased }) => isReleased)) throw misuse('OC-TENSOR-01');
  const work = async (): Promise<Evaluated> => {
    const opened = await deviceFor(device ?? preferred);
    if (opened === undefined) {
      const inputs = await Promise.all(values.map((value) => value.toHost()));
      const { interpreterExecutable } = await import('../runtime/interpreter.js');
      return { results: await interpreterExecutable(graph).run(inputs), device };
    }
    const executable = await executableOf(graph, opened);
    const inputs = await Promise.all(values.map((value) => value.on(opened)));
    return { results: await executable.runResident(inputs), device };
  };
  return values.reduceRight((inner, value) => () => value.hold(inner), work)();
}
