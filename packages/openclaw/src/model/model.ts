/** Models: an imported file with the programs made from it, ready to run by names. */
import {
  type Fallback,
  type HostTensor,
  isFailure,
  type Precision,
  type RunOptions,
  type Tuning,
} from '@open-claw/core';
import { failure, quoteText } from '@open-claw/core/internal';
import {
  analyzeModel,
  buildOutput,
  flattenInputs,
  type ImportedModel,
  type ImportOptions,
  importModel,
  type ModelProto,
  type OnnxValue,
  specializeModel,
} from '@open-claw/formats';
import { type Backend, type BackendFacts, factsOf } from '../devices/choose.js';
import { givenInputs, type ModelPort, outputPorts, portOf, type Sizes } from './ports.js';
import { factsForSizes, fits, type Prepared, prepare } from './prepared.js';
import { type InputValue, isOfKind, type Kind, kindOf, toValue } from './values.js';

export interface ModelOptions {
  /** Numbers for sizes: by their name in the file, or `input.axis` where a size has no name. */
  readonly sizes?: Sizes;
  /** Most bytes of device memory. */
  readonly memory?: number;
  /** Accuracy of f32 contractions; `highest` where absent. */
  readonly precision?: Precision;
  /** Measured choices for its steps. */
  readonly tuning?: Tuning;
  readonly fileName?: string;
}

export type ModelInputs = Readonly<Record<string, InputValue>>;
/** Of a sequence `name` the elements are `name[0]`, `name[1]` …; an empty optional is absent. */
export type ModelOutputs = Readonly<Record<string, HostTensor>>;

export interface ModelRunOptions extends Pick<RunOptions, 'signal' | 'timeLimit'> {
  /** Tensors whose arrays receive the outputs of the same name. */
  readonly into?: ModelOutputs;
}

/** A program and its inputs, in the order of its parameters. */
interface Call {
  readonly prepared: Prepared;
  readonly tensors: readonly HostTensor[];
}

/** Of a call whose inputs were tensors all along. */
interface LastCall {
  readonly prepared: Prepared;
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
}

/** Programs kept for different values of inputs that a program is made for. */
const mostPrepared = 8;

export class Model {
  /** Inputs that the caller gives. */
  readonly inputs: readonly ModelPort[];
  readonly outputs: readonly ModelPort[];
  /** Where it runs, and how that is known. */
  readonly backend: BackendFacts;
  readonly proto: ModelProto;
  private readonly target: Backend;
  private readonly options: ModelOptions;
  private readonly importOptions: ImportOptions;
  private prepared: Prepared[] = [];
  private last: LastCall | undefined;
  private mostBytes = 0;
  private isReleased = false;

  private constructor(
    proto: ModelProto,
    target: Backend,
    options: ModelOptions,
    imported: ImportedModel,
  ) {
    const sizes = options.sizes ?? {};
    this.proto = proto;
    this.target = target;
    this.options = options;
    this.backend = factsOf(target);
    this.importOptions = importOptionsOf(proto, options);
    this.inputs = givenInputs(proto).map((info) => portOf(info, sizes));
    this.outputs = outputPorts(proto, sizes, imported);
  }

  /**
   * Imports and compiles. Where a program can be made only for known values of inputs (a shape, a
   * count), that happens at the first run. Throws what the importer and the compiler refuse.
   */
  static async create(proto: ModelProto, target: Backend, options: ModelOptions): Promise<Model> {
    const importOptions = importOptionsOf(proto, options);
    const imported = analyzeModel(proto, importOptions);
    const waits = imported.refusals.length > 0 && canWait(imported);
    if (imported.refusals.length > 0 && !waits) importModel(proto, importOptions);
    const model = new Model(proto, target, options, imported);
    if (!waits) await model.add(imported, new Map(), [], []);
    return model;
  }

  /** What runs elsewhere than wished for. */
  get fallbacks(): readonly Fallback[] {
    const own = this.prepared.flatMap(({ program }) => program?.fallbacks ?? []);
    return [...this.target.skipped, ...own];
  }

  /** Most bytes of device memory that one of its programs has held. */
  get peakBytes(): number {
    const now = this.prepared.map(({ executable }) => executable.peakBytes);
    return Math.max(this.mostBytes, 0, ...now);
  }

  /**
   * Runs once. Throws OC-INPUT-01 … 03 for inputs that do not fit, and what the device reports;
   * after a failure nothing stale is readable.
   */
  async run(inputs: ModelInputs, options: ModelRunOptions = {}): Promise<ModelOutputs> {
    const call = this.callLike(inputs) ?? (await this.callFor(inputs));
    const { imported, executable } = call.prepared;
    const { tensors } = call;
    const into = intoOf(imported, options.into);
    const { signal, timeLimit } = options;
    const results = await executable.run(tensors, {
      ...(signal === undefined ? {} : { signal }),
      ...(timeLimit === undefined ? {} : { timeLimit }),
      ...(into === undefined ? {} : { into }),
    });
    return outputsOf(imported, results);
  }

  private async callFor(inputs: ModelInputs): Promise<Call> {
    const values = await this.valuesOf(inputs);
    const prepared = await this.preparedFor(values);
    const tensors = flattenInputs(prepared.imported, values);
    const names = prepared.imported.inputs.map(({ name }) => name);
    const isDirect =
      prepared.fixed.size === 0 &&
      names.length === tensors.length &&
      tensors.every((tensor, i) => tensor === inputs[names[i] as string]);
    this.last = isDirect ? { prepared, names, kinds: tensors.map(kindOf) } : undefined;
    return { prepared, tensors };
  }

  /** Inputs that are tensors like those of the last call have the same program. */
  private callLike(inputs: ModelInputs): Call | undefined {
    const { last } = this;
    if (last === undefined || this.isReleased || !this.prepared.includes(last.prepared)) {
      return undefined;
    }
    // Plain scripts may give nothing at all.
    if (Object.keys(inputs ?? {}).length !== last.names.length) return undefined;
    const tensors: HostTensor[] = [];
    for (const [i, name] of last.names.entries()) {
      const value = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
      if (!isOfKind(value, last.kinds[i] as Kind)) return undefined;
      tensors.push(value);
    }
    return { prepared: last.prepared, tensors };
  }

  /** The program that runs for these inputs; made where there is none yet. */
  async programFor(inputs: ModelInputs): Promise<Prepared> {
    return this.preparedFor(await this.valuesOf(inputs));
  }

  /** Inputs by name as values of the model. */
  async valuesOf(inputs: ModelInputs): Promise<ReadonlyMap<string, OnnxValue>> {
    if (this.isReleased) throw failure('OC-RUN-08');
    const types = new Map(givenInputs(this.proto).map(({ name, type }) => [name, type]));
    // Plain scripts may give nothing at all.
    const given = new Map(Object.entries(inputs ?? {}));
    for (const name of given.keys()) {
      if (types.has(name)) continue;
      const known = [...types.keys()].map(quoteText).join(', ');
      throw failure('OC-INPUT-02', { name, known }, { kind: 'usage' });
    }
    const missing = this.inputs.filter(({ name, kind }) => !given.has(name) && kind !== 'optional');
    if (missing.length > 0) {
      const names = missing.map(({ name }) => quoteText(name)).join(', ');
      throw failure('OC-INPUT-03', { names }, { kind: 'usage' });
    }
    const values = new Map<string, OnnxValue>();
    for (const port of this.inputs) {
      const value = given.get(port.name) ?? null;
      values.set(port.name, await toValue(value, port, types.get(port.name) ?? null));
    }
    return values;
  }

  private async preparedFor(values: ReadonlyMap<string, OnnxValue>): Promise<Prepared> {
    const known = this.prepared.find((each) => fits(each, values));
    if (known !== undefined) return known;
    const { fixed, shaped, ...imported } = specializeModel(this.proto, values, this.importOptions);
    if (imported.refusals.length > 0) importModel(this.proto, this.importOptions);
    return this.add(imported, values, fixed, shaped);
  }

  private async add(
    imported: ImportedModel,
    values: ReadonlyMap<string, OnnxValue>,
    fixed: readonly string[],
    shaped: readonly string[],
  ): Promise<Prepared> {
    const made = await prepare(imported, this.target, { ...this.options, values, fixed, shaped });
    const { opened } = this.target.kind === 'device' ? this.target : { opened: undefined };
    void opened?.device.lost.then(() => {
      this.prepared = this.prepared.filter((each) => each !== made);
    });
    this.prepared.push(made);
    if (this.prepared.length > mostPrepared) {
      const [oldest, ...rest] = this.prepared;
      this.prepared = rest;
      this.mostBytes = Math.max(this.mostBytes, oldest?.executable.peakBytes ?? 0);
      await oldest?.executable.dispose();
    }
    return made;
  }

  /** Frees its device memory after the runs under way. */
  async dispose(): Promise<void> {
    this.isReleased = true;
    this.mostBytes = this.peakBytes;
    const all = this.prepared;
    this.prepared = [];
    await Promise.all(all.map(({ executable }) => executable.dispose()));
  }

  [Symbol.dispose](): void {
    // Nobody waits here; a device that is gone has nothing to free.
    this.dispose().catch((error: unknown) => {
      if (!isFailure(error)) throw error;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Whether all that is refused is refused for want of values that a run brings. */
const canWait = ({ refusals }: ImportedModel): boolean =>
  refusals.every(({ needs }) => needs.length > 0);

/** How the importer is asked for a program with these sizes. */
export function importOptionsOf(
  proto: ModelProto,
  { sizes, fileName }: ModelOptions,
): ImportOptions {
  const inputs = factsForSizes(proto, sizes ?? {});
  return {
    ...(sizes === undefined ? {} : { sizes }),
    ...(fileName === undefined ? {} : { fileName }),
    ...(inputs.size === 0 ? {} : { inputs }),
  };
}

function intoOf(
  { graph, outputs }: ImportedModel,
  given: ModelOutputs | undefined,
): readonly (HostTensor | undefined)[] | undefined {
  if (given === undefined) return undefined;
  const into: (HostTensor | undefined)[] = graph.outputs.map(() => undefined);
  for (const { name, slot } of outputs) {
    if (slot.kind === 'tensor' && Object.hasOwn(given, name)) into[slot.index] = given[name];
  }
  return into;
}

/** Names come from the file, so the object has no prototype that a name could reach. */
function outputsOf({ outputs }: ImportedModel, tensors: readonly HostTensor[]): ModelOutputs {
  const named: Record<string, HostTensor> = Object.create(null);
  const put = (name: string, value: OnnxValue | null): void => {
    if (value?.kind === 'tensor') named[name] = value.tensor;
    else if (value?.kind === 'optional') put(name, value.value);
    else if (value?.kind === 'sequence') {
      for (const [i, each] of value.elements.entries()) put(`${name}[${i}]`, each);
    }
  };
  for (const { name, slot } of outputs) put(name, buildOutput(slot, tensors));
  return named;
}
