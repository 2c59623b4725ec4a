/**
 * Programs to be kept between runs, as text and bytes: everything but the constants of the graph,
 * which stand in it by number. What is read again is checked; what is not ours gives none.
 */
import type { DType } from '../base/dtype.js';
import { allocateArray, elementCount, type HostTensor } from '../base/host-tensor.js';
import type { Graph, Node } from '../graph/node.js';
import type { Procedure, Program } from './program.js';

/** What a plan names without holding it. */
export interface PlanContext {
  readonly graph: Graph;
  readonly constants: readonly HostTensor[];
}

const format = 1;
/** Bytes of constants that the compiler made; with more a program is not worth keeping. */
const mostOwnBytes = 2 ** 18;

class Unkept extends Error {}

export interface Plan {
  readonly text: string;
  /** Constants that the compiler made, and kernels of languages that are bytes. */
  readonly bytes: Uint8Array;
}

/** The plan of a program; undefined where it holds what none can (regions, host steps). */
export function writePlan(program: Program, { graph, constants }: PlanContext): Plan | undefined {
  const writer = new PlanWriter(graph, constants);
  try {
    const value = writer.value(program);
    const text = JSON.stringify({ format, shared: writer.shared, value });
    return { text, bytes: joined(writer.contents) };
  } catch (error) {
    if (error instanceof Unkept) return undefined;
    throw error;
  }
}

/** Marks what JSON has no word for; objects of a program have none of these members. */
type Marked =
  | { readonly $constant: number }
  | { readonly $input: number }
  | { readonly $shared: number }
  | { readonly $map: readonly (readonly [string, unknown])[] }
  | { readonly $number: string }
  /** Offset and length. */
  | { readonly $bytes: readonly [number, number] }
  /** Dtype, shape and offset. */
  | { readonly $tensor: readonly [string, readonly number[], number] };

/** Texts from this length on that come again stand in a table. */
const longText = 64;

class PlanWriter {
  /** Long texts and expressions. */
  readonly shared: unknown[] = [];
  readonly contents: Uint8Array[] = [];
  private length = 0;
  private readonly places = new Map<string, number>();
  private readonly inputs: ReadonlyMap<Node, number>;
  private readonly constants: ReadonlyMap<HostTensor, number>;
  private ownBytes = 0;

  constructor(graph: Graph, constants: readonly HostTensor[]) {
    this.inputs = new Map((graph.inputs as readonly Node[]).map((node, i) => [node, i]));
    this.constants = new Map(constants.map((tensor, i) => [tensor, i]));
  }

  value(value: unknown): unknown {
    if (typeof value === 'number') return this.number(value);
    if (typeof value === 'string') {
      return value.length < longText ? value : this.share(value, () => value);
    }
    if (value === undefined || value === null || typeof value === 'boolean') return value;
    if (typeof value !== 'object') throw new Unkept();
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (value instanceof Map) {
      return { $map: [...value].map(([key, each]) => [String(key), this.value(each)] as const) };
    }
    if (value instanceof Uint8Array) {
      return { $bytes: [this.put(value), value.length] } satisfies Marked;
    }
    return this.object(value);
  }

  private object(value: object): unknown {
    if ('terms' in value && 'key' in value) {
      return this.share(`expression ${value.key}`, () => this.members(value));
    }
    if ('data' in value && 'dtype' in value) return this.tensor(value as HostTensor);
    if ('op' in value && 'results' in value) {
      const node = value as Node;
      const input = this.inputs.get(node);
      if (input !== undefined) return { $input: input } satisfies Marked;
      throw new Unkept();
    }
    return this.members(value);
  }

  private members(value: object): unknown {
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, this.value(each)] as const),
    );
  }

  private number(value: number): number | Marked {
    const isPlain = Number.isFinite(value) && !Object.is(value, -0);
    return isPlain ? value : { $number: Object.is(value, -0) ? '-0' : String(value) };
  }

  private share(key: string, make: () => unknown): Marked {
    const known = this.places.get(key);
    if (known !== undefined) return { $shared: known };
    const made = make();
    this.places.set(key, this.shared.push(made) - 1);
    return { $shared: this.shared.length - 1 };
  }

  private tensor(tensor: HostTensor): Marked {
    const known = this.constants.get(tensor);
    if (known !== undefined) return { $constant: known };
    const { dtype, shape, data } = tensor;
    if (!ArrayBuffer.isView(data)) throw new Unkept();
    this.ownBytes += data.byteLength;
    if (this.ownBytes > mostOwnBytes) throw new Unkept();
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { $tensor: [dtype, shape, this.put(bytes)] };
  }

  private put(bytes: Uint8Array): number {
    const offset = this.length;
    this.contents.push(bytes);
    this.length += alignedTo8(bytes.length);
    return offset;
  }
}

const alignedTo8 = (length: number): number => Math.ceil(length / 8) * 8;

function joined(contents: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(contents.reduce((sum, { length }) => sum + alignedTo8(length), 0));
  let at = 0;
  for (const bytes of contents) {
    whole.set(bytes, at);
    at += alignedTo8(bytes.length);
  }
  return whole;
}

/** The program of a plan that was written for an equal graph; undefined where it is none. */
export function readPlan({ text, bytes }: Plan, context: PlanContext): Program | undefined {
  try {
    const whole = JSON.parse(text) as { format?: unknown; shared?: unknown; value?: unknown };
    if (whole.format !== format || !Array.isArray(whole.shared)) return undefined;
    const program = new PlanReader(whole.shared, bytes, context).value(whole.value) as Program;
    return isWhole(program) ? program : undefined;
  } catch {
    return undefined;
  }
}

class PlanReader {
  private readonly shared: readonly unknown[];
  private readonly made: unknown[] = [];
  private readonly bytes: Uint8Array;
  private readonly context: PlanContext;

  constructor(shared: readonly unknown[], bytes: Uint8Array, context: PlanContext) {
    this.shared = shared;
    this.bytes = bytes;
    this.context = context;
  }

  value(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    const [name] = Object.keys(value);
    if (name?.startsWith('$') === true)
      return this.marked(name, (value as Marked & object)[name as never]);
    const made: Record<string, unknown> = {};
    for (const [key, each] of Object.entries(value)) made[key] = this.value(each);
    return made;
  }

  private marked(name: string, content: never): unknown {
    const { graph, constants } = this.context;
    switch (name) {
      case '$constant':
        return sure(constants[content]);
      case '$input':
        return sure(graph.inputs[content]);
      case '$shared':
        this.made[content] ??= this.value(sure(this.shared[content]));
        return this.made[content];
      case '$number':
        return Number(content);
      case '$bytes':
        return this.part(...(content as [number, number]));
      case '$map':
        return new Map(
          (content as [string, unknown][]).map(([key, each]) => [key, this.value(each)]),
        );
      case '$tensor':
        return this.tensor(...(content as [DType, number[], number]));
      default:
        return sure(undefined);
    }
  }

  /** A copy: the plan's bytes need not lie as its elements must. */
  private part(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const part = new Uint8Array(this.bytes.subarray(offset, offset + length));
    if (part.length !== length) throw new Unkept();
    return part;
  }

  private tensor(dtype: DType, shape: number[], offset: number): HostTensor {
    const data = allocateArray(dtype, elementCount(shape));
    new Uint8Array(data.buffer).set(this.part(offset, data.byteLength));
    return { dtype, shape, data };
  }
}

function sure<T>(value: T | undefined): T {
  if (value === undefined) throw new Unkept();
  return value;
}

/** Whether all that launches name is there: the runtime does not look again. */
function isWhole({ main, operators, source }: Program): boolean {
  const entries = new Set(source?.entries.map(({ name }) => name));
  const isBuffer = (id: number | undefined): boolean =>
    id === undefined || main.buffers[id]?.id === id;
  const isLaunch = (step: Procedure['steps'][number]): boolean =>
    step.kind === 'launch' &&
    entries.has(step.entry) &&
    step.buffers.every(isBuffer) &&
    step.access.length === step.buffers.length &&
    typeof operators[step.operator] === 'string';
  const hasContent = ({ role, tensor }: Procedure['buffers'][number]): boolean =>
    (role === 'constant') === (tensor !== undefined);
  return (
    main.steps.every(isLaunch) &&
    main.once.every(isLaunch) &&
    main.buffers.every(hasContent) &&
    [...main.parameters, ...main.results].every(({ buffer }) => isBuffer(buffer)) &&
    main.results.every(({ buffer, host }) => buffer !== undefined || host !== undefined)
  );
}
