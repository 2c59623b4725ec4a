/**
 * The pretend chip: memory is JavaScript arrays, kernels are JavaScript functions, and the one
 * queue is a chain of promises. Gives the contract's Device; copy it and replace method by method.
 */
import type {
  Binary,
  Command,
  Device,
  Entry,
  Lost,
  Memory,
  MemoryArgument,
  Module,
  OpenClawError,
  Stop,
} from '@open-claw/core/device';
import { failure, isFailure, refused, Validity } from '@open-claw/core/device';

/** Longest time in milliseconds that one slice of a kernel holds the event loop. */
const sliceMilliseconds = 4;

type Kernel = (
  buffers: readonly Uint8Array[],
  sizes: readonly number[],
  begin: number,
  end: number,
) => void;

/** Operators by the name of the composite: inputs, outputs, workspace; sizes of all inputs. */
export type Operators = Readonly<
  Record<string, (buffers: readonly Uint8Array[], sizes: readonly number[]) => void>
>;

/** Replace by your address or handle. `block` is gone once the memory is freed. */
class PretendMemory implements Memory {
  readonly bytes: number;
  readonly owner: TemplateDevice;
  block: Uint8Array | undefined;

  constructor(bytes: number, owner: TemplateDevice) {
    this.bytes = bytes;
    this.owner = owner;
    this.block = new Uint8Array(bytes);
  }
}

/** Replace by your driver's module and function handles. */
class PretendModule implements Module {
  readonly entries: readonly Entry[];
  readonly kernels: Readonly<Record<string, Kernel>>;

  constructor(entries: readonly Entry[], kernels: Readonly<Record<string, Kernel>>) {
    this.entries = entries;
    this.kernels = kernels;
  }
}

export class TemplateDevice implements Device {
  readonly lost: Promise<Lost> = new Promise(() => {});
  private freeBytes: number;
  private closed = false;
  private yielded = 0;
  /** The last piece of work; everything new waits for it. */
  private tail: Promise<void> = Promise.resolve();
  /** The first failure that no read or sync has reported. */
  private failed: OpenClawError | undefined;
  private readonly validity = new Validity();

  private readonly operators: Operators;

  constructor(memoryBytes: number, operators: Operators = {}) {
    this.freeBytes = memoryBytes;
    this.operators = operators;
  }

  /** Replace by your driver's allocation, followed by a fill with zeros. */
  async allocate(bytes: number): Promise<Memory> {
    this.checkOpen();
    if (bytes > this.freeBytes) {
      throw failure(
        'OC-DEVICE-01',
        { asked: bytes, free: this.freeBytes },
        { kind: 'transient', retry: 'smaller' },
      );
    }
    this.freeBytes -= bytes;
    return new PretendMemory(bytes, this);
  }

  /** Replace by your driver's free, queued so that running commands keep what they use. */
  free(handle: Memory | Module): void {
    this.enqueue(async () => {
      if (!(handle instanceof PretendMemory) || handle.block === undefined) return;
      this.validity.forget(handle);
      handle.block = undefined;
      this.freeBytes += handle.bytes;
    });
  }

  /** Replace by an asynchronous host → device copy from memory that you own. */
  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const range = { memory: to, offset, bytes: bytes.byteLength, access: 'write' } as const;
    const block = this.blockOf(range);
    const copy = bytes.slice();
    this.enqueue(async () => {
      block.set(copy);
      this.validity.restore(range);
    });
  }

  /** Replace by a device → host copy, and wait for it. */
  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    const range = { memory: from, offset, bytes: into.byteLength, access: 'read' } as const;
    this.blockOf(range);
    // A copy in its turn: what is submitted later must not show.
    let bytes: Uint8Array | undefined;
    let invalid: Error | undefined;
    this.enqueue(async () => {
      invalid = this.validity.problemOf(range);
      bytes = this.blockOf(range).slice();
    });
    await this.sync();
    if (invalid !== undefined) throw invalid;
    if (bytes !== undefined) into.set(bytes);
  }

  /** Replace by loading your compiler's bytes and looking up each entry. */
  async load(binary: Binary): Promise<Module> {
    this.checkOpen();
    if (binary.format !== 'script') {
      throw refused(`a binary of format ${binary.format}`, 'this chip loads script');
    }
    // The text comes from the script language, which prints no text of a model.
    const define = new Function(new TextDecoder().decode(binary.bytes));
    return new PretendModule(binary.entries, define() as Record<string, Kernel>);
  }

  /** Replace by your stream: encode each command and launch it. */
  submit(commands: readonly Command[], stop: Stop = {}): void {
    this.checkOpen();
    const deadline = performance.now() + (stop.timeLimit ?? Number.POSITIVE_INFINITY);
    const check = (): void => {
      if (stop.signal?.aborted === true) {
        throw failure('OC-DEVICE-05', {}, { cause: stop.signal.reason });
      }
      if (performance.now() > deadline) {
        throw failure('OC-DEVICE-04', { limit: stop.timeLimit ?? 0 }, { retry: 'smaller' });
      }
    };
    this.enqueue(async () => {
      let stopped: OpenClawError | undefined;
      for (const [at, command] of commands.entries()) {
        await this.yieldTurn();
        try {
          if (stopped === undefined) {
            this.validity.check(command);
            await this.run(command, check);
            this.validity.written(command);
          }
        } catch (error) {
          stopped = isFailure(error)
            ? error
            : failure('OC-DEVICE-02', { command: at, reason: String(error) }, { cause: error });
          this.failed ??= stopped;
        }
        // What a command that failed or was skipped would have written holds nothing valid.
        if (stopped !== undefined) this.validity.spoiled(command, stopped);
      }
    });
  }

  /** Replace by your driver's wait; report here what went wrong since the last report. */
  async sync(): Promise<void> {
    this.checkOpen();
    await this.tail;
    await this.yieldTurn();
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  /** Replace by releasing your context, after the work that is queued. */
  async close(): Promise<void> {
    this.closed = true;
    await this.tail;
  }

  /** Many short commands must not hold the event loop either. */
  private async yieldTurn(): Promise<void> {
    if (performance.now() - this.yielded < sliceMilliseconds) return;
    await new Promise<void>((resume) => setImmediate(resume));
    this.yielded = performance.now();
  }

  private enqueue(work: () => Promise<void>): void {
    this.tail = this.tail.then(work);
  }

  private checkOpen(): void {
    if (this.closed) throw failure('OC-DEVICE-03', { reason: 'the device is closed' });
  }

  /** The bytes that a handle, an offset and a length mean, checked. */
  private blockOf({ memory, offset, bytes }: MemoryArgument): Uint8Array {
    const isOwn = memory instanceof PretendMemory && memory.owner === this;
    if (!isOwn || memory.block === undefined) {
      throw failure('OC-DEVICE-03', { reason: 'memory that is freed or of another device' });
    }
    if (offset < 0 || offset + bytes > memory.bytes) {
      const reason = `bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`;
      throw failure('OC-DEVICE-03', { reason });
    }
    return memory.block.subarray(offset, offset + bytes);
  }

  private async run(command: Command, check: () => void): Promise<void> {
    check();
    switch (command.kind) {
      case 'copy':
        return void this.blockOf(command.to).set(this.blockOf(command.from));
      case 'fill':
        return void this.blockOf(command.to).fill(command.byte);
      case 'launch': {
        const buffers = command.buffers.map((argument) => this.blockOf(argument));
        return launch(command, buffers, check);
      }
      // Replace by a call of your tuned library; `overrides` of the plug-in say what it takes.
      case 'operator': {
        const operator = this.operators[command.name];
        const buffers = command.buffers.map((argument) => this.blockOf(argument));
        if (operator !== undefined) return operator(buffers, command.sizes);
        throw refused(`operator ${command.name}`, 'the pretend chip has no such operator');
      }
      default:
        throw refused(`command ${command.kind}`, 'the pretend chip has no such command');
    }
  }
}

/** Runs a kernel's tasks in slices, so that timers fire and stops are seen between them. */
async function launch(
  command: Extract<Command, { kind: 'launch' }>,
  buffers: readonly Uint8Array[],
  check: () => void,
): Promise<void> {
  const module = command.module;
  const kernel = module instanceof PretendModule ? module.kernels[command.entry] : undefined;
  if (kernel === undefined) throw failure('OC-DEVICE-03', { reason: 'no such kernel is loaded' });
  const tasks = command.grid.reduce((product, extent) => product * extent, 1);
  let slice = 1;
  let yielded = performance.now();
  for (let begin = 0; begin < tasks; ) {
    if (performance.now() - yielded > sliceMilliseconds) {
      await new Promise<void>((resume) => setImmediate(resume));
      yielded = performance.now();
      check();
    }
    const end = Math.min(begin + slice, tasks);
    const before = performance.now();
    kernel(buffers, command.sizes, begin, end);
    begin = end;
    // Doubling finds a slice that is long enough to be cheap and short enough to be polite.
    if (performance.now() - before < sliceMilliseconds / 4) slice *= 2;
  }
}
