/** Models: an imported file with the programs made from it, ready to run by names. */
import {
  type Fallback,
  type HostTensor,
  isFailure,
  isTensor as isLazyTensor,
  type Precision,
  type RunOptions,
  type Tensor,
  type Tuning,
} from '@open-claw/core/face';
import { failure, quoteText, runOnTensors } from '@open-claw/core/graph';
import {
  analyzeModel,
  flattenInputs,
  type ImportedModel,
  type ImportOptions,
  importModel,
  type ModelProto,
  type OnnxValue,
  specializeModel,
} from '@open-claw/formats';
import { type Backend, type BackendFacts, factsOf, withWiderAddresses } from '../devices/choose.js';
import { givenInputs, type ModelPort, outputPorts, portOf, type Sizes } from './ports.js';
import { factsForSizes, fits, type Prepared, prepare } from './prepared.js';
import {
  byName,
  checkOutputs,
  inputNameAt,
  intoOf,
  knownTensor,
  StandIns,
  tensorsIn,
} from './tensors.js';
import {
  type InputValue,
  isAnyOfKind,
  isOfKind,
  type Kind,
  kindOf,
  type StandIn,
  toValue,
} from './values.js';

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

/** As `ModelOutputs`, on the model's device; whoever called releases them. */
export type ModelTensors = Readonly<Record<string, Tensor>>;

export interface ModelApplyOptions extends Pick<RunOptions, 'signal' | 'timeLimit'> {
  /**
   * Names of inputs whose tensors are released, whether the run succeeds or not: state that an
   * output replaces, as a key/value cache. Where nothing else uses such a tensor and the model
   * writes part of it, the output takes its memory over and nothing is copied.
   */
  readonly donate?: readonly string[];
}

/** A program and its inputs, in the order of its parameters. */
interface Call<T> {
  readonly prepared: Prepared;
  readonly tensors: readonly T[];
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
  readonly proto: ModelProto;
  private target: Backend;
  private readonly options: ModelOptions;
  private readonly importOptions: ImportOptions;
  private prepared: Prepared[] = [];
  private last: LastCall | undefined;
  /** Inputs that were copied from another device, by name. */
  private readonly copies = new Map<string, Fallback>();
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
    if (waits) return model;
    const add = (): Promise<unknown> => model.add(imported, new Map(), [], []);
    await add().catch((error: unknown) => model.widened(error, target).then(add));
    return model;
  }

  /** Where it runs, and how that is known. */
  get backend(): BackendFacts {
    return factsOf(this.target);
  }

  /** What runs elsewhere than wished for. */
  get fallbacks(): readonly Fallback[] {
    const own = this.prepared.flatMap(({ program }) => program?.fallbacks ?? []);
    return [...this.target.skipped, ...own, ...this.copies.values()];
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
    const { target } = this;
    try {
      return await this.runOnce(inputs, options);
    } catch (error) {
      await this.widened(error, target);
      return this.runOnce(inputs, options);
    }
  }

  /** Moves to a row of the device whose addresses reach further. Throws the error where none is. */
  private async widened(error: unknown, before: Backend): Promise<void> {
    const wider = await withWiderAddresses(before, error);
    if (wider === undefined) throw error;
    // Another run may have moved already.
    if (this.target !== before) return;
    this.mostBytes = this.peakBytes;
    this.target = wider;
    const all = this.prepared.splice(0);
    await Promise.all(all.map(({ executable }) => executable.dispose()));
  }

  private async runOnce(inputs: ModelInputs, options: ModelRunOptions): Promise<ModelOutputs> {
    const { prepared, tensors } = this.callLike(inputs, isOfKind) ?? (await this.callFor(inputs));
    const { imported, executable } = prepared;
    const limits = limitsOf(options);
    const into = intoOf(imported, options.into);
    const results = await executable.run(
      tensors,
      into === undefined ? limits : { ...limits, into },
    );
    return byName(imported, results, itself);
  }

  /**
   * Runs once on tensors and gives tensors that lie on the model's device: what goes from call to
   * call is not copied. Other inputs are as for `run` and are copied to the device; so is a tensor
   * of another device, which `fallbacks` then tells. Throws as `run`, OC-TENSOR-01 for a tensor
   * that was released, and OC-REFUSED-01 where an output is text.
   */
  async apply(inputs: ModelInputs, options: ModelApplyOptions = {}): Promise<ModelTensors> {
    const { donate = none } = options;
    const given = donate.length === 0 ? none : this.tensorsOf(donate, inputs);
    const { prepared, tensors } = this.callLike(inputs, isAnyOfKind) ?? (await this.callOn(inputs));
    const { imported, loaded } = prepared;
    checkOutputs(imported);
    try {
      const results = await runOnTensors(loaded, tensors, {
        ...limitsOf(options),
        donate: given.length === 0 ? none : placesOf(given, tensors),
        onCopy: (i, from) => {
          const node = inputNameAt(imported, i);
          const reason = `it lies on ${from} and is copied to ${this.backend.device}`;
          this.copies.set(node, { op: 'input', node, reason });
        },
      });
      return byName(imported, results, (tensor) => knownTensor(this.backend.device)(tensor));
    } finally {
      // Those too that a program was made for: they are no inputs of the run.
      for (const tensor of given) tensor.dispose();
    }
  }

  /** Tensors of inputs by name. Throws OC-INPUT-02. */
  private tensorsOf(names: readonly string[], inputs: ModelInputs): readonly Tensor[] {
    const wrong = names.find((name) => !this.inputs.some((port) => port.name === name));
    if (wrong !== undefined) throw this.unknownInput(wrong);
    return names.flatMap((name) => tensorsIn(inputs[name]));
  }

  /** Values of tensors are read back only where a program has to be made for them. */
  private async callOn(inputs: ModelInputs): Promise<Call<Tensor | HostTensor>> {
    const standIns = new StandIns();
    const values = await this.valuesOf(inputs, standIns.of);
    const prepared =
      this.prepared.find((each) => fits(each, values)) ??
      (await this.preparedFor(await this.valuesOf(inputs)));
    const tensors = flattenInputs(prepared.imported, values).map((value) => standIns.behind(value));
    this.remember(prepared, inputs, tensors);
    return { prepared, tensors };
  }

  private async callFor(inputs: ModelInputs): Promise<Call<HostTensor>> {
    const values = await this.valuesOf(inputs);
    const prepared = await this.preparedFor(values);
    const tensors = flattenInputs(prepared.imported, values);
    this.remember(prepared, inputs, tensors);
    return { prepared, tensors };
  }

  private remember(
    prepared: Prepared,
    inputs: ModelInputs,
    tensors: readonly (Tensor | HostTensor)[],
  ): void {
    const names = prepared.imported.inputs.map(({ name }) => name);
    const isDirect =
      prepared.fixed.size === 0 &&
      names.length === tensors.length &&
      tensors.every((tensor, i) => tensor === inputs[names[i] as string]);
    const kinds = isDirect ? tensors.map((tensor) => kindOf(tensor)) : [];
    this.last = isDirect ? { prepared, names, kinds } : undefined;
  }

  /** Inputs that are tensors like those of the last call have the same program. */
  private callLike<T extends Kind>(
    inputs: ModelInputs,
    isLike: (value: InputValue | undefined, kind: Kind) => value is InputValue & T,
  ): Call<T> | undefined {
    const { last } = this;
    if (last === undefined || this.isReleased || !this.prepared.includes(last.prepared)) {
      return undefined;
    }
    const { names, kinds } = last;
    // Plain scripts may give nothing at all.
    if (Object.keys(inputs ?? {}).length !== names.length) return undefined;
    const tensors: T[] = [];
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      const value = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
      if (!isLike(value, kinds[i] as Kind)) return undefined;
      tensors.push(value);
    }
    return { prepared: last.prepared, tensors };
  }

  /** The program that runs for these inputs; made where there is none yet. */
  async programFor(inputs: ModelInputs): Promise<Prepared> {
    return this.preparedFor(await this.valuesOf(inputs));
  }

  /** Inputs by name as values of the model; tensors as what stands for them, if that is given. */
  async valuesOf(inputs: ModelInputs, standIn?: StandIn): Promise<ReadonlyMap<string, OnnxValue>> {
    if (this.isReleased) throw failure('OC-RUN-08');
    const types = new Map(givenInputs(this.proto).map(({ name, type }) => [name, type]));
    // Plain scripts may give nothing at all.
    const given = new Map(Object.entries(inputs ?? {}));
    const unknown = [...given.keys()].find((name) => !types.has(name));
    if (unknown !== undefined) throw this.unknownInput(unknown);
    const missing = this.inputs.filter(({ name, kind }) => !given.has(name) && kind !== 'optional');
    if (missing.length > 0) {
      const names = missing.map(({ name }) => quoteText(name)).join(', ');
      throw failure('OC-INPUT-03', { names }, { kind: 'usage' });
    }
    const values = new Map<string, OnnxValue>();
    for (const port of this.inputs) {
      const value = given.get(port.name) ?? null;
      values.set(port.name, await toValue(value, port, types.get(port.name) ?? null, standIn));
    }
    return values;
  }

  private unknownInput(name: string): Error {
    const known = this.inputs.map((port) => quoteText(port.name)).join(', ');
    return failure('OC-INPUT-02', { name, known }, { kind: 'usage' });
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

const none: readonly never[] = [];
const itself = (tensor: HostTensor): HostTensor => tensor;

/** The limits alone, where there are any. */
function limitsOf({ signal, timeLimit }: Pick<RunOptions, 'signal' | 'timeLimit'>): RunOptions {
  if (signal === undefined) return timeLimit === undefined ? {} : { timeLimit };
  return timeLimit === undefined ? { signal } : { signal, timeLimit };
}

/** Where tensors are given, by number. */
const placesOf = (
  tensors: readonly Tensor[],
  given: readonly (Tensor | HostTensor)[],
): readonly number[] =>
  given.flatMap((value, i) => (isLazyTensor(value) && tensors.includes(value) ? [i] : []));

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
