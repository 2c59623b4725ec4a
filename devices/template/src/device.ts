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
import { failure, isFailure, refused } from '@open-claw/core/device';

/** Longest time in milliseconds that one slice of a kernel holds the event loop. */
const sliceMilliseconds = 4;

type Kernel = (
  buffers: readonly Uint8Array[],
  sizes: readonly number[],
  begin: number,
  end: number,
) => void;

/** Replace by your address or handle. `block` is gone once the memory is freed. */
class PretendMemory implements Memory {
  readonly bytes: number;
  block: Uint8Array | undefined;

  constructor(bytes: number) {
    this.bytes = bytes;
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
  /** The first failure that no read or sync has reported; commands are skipped until then. */
  private failed: OpenClawError | undefined;

  constructor(memoryBytes: number) {
    this.freeBytes = memoryBytes;
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
    return new PretendMemory(bytes);
  }

  /** Replace by your driver's free, queued so that running commands keep what they use. */
  free(handle: Memory | Module): void {
    this.enqueue(async () => {
      if (!(handle instanceof PretendMemory) || handle.block === undefined) return;
      handle.block = undefined;
      this.freeBytes += handle.bytes;
    });
  }

  /** Replace by an asynchronous host → device copy from memory that you own. */
  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    this.checkOpen();
    const block = blockOf(to, offset, bytes.byteLength);
    const copy = bytes.slice();
    this.enqueue(async () => block.set(copy));
  }

  /** Replace by a device → host copy, and wait for it. */
  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    this.checkOpen();
    await this.sync();
    into.set(blockOf(from, offset, into.byteLength));
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
      for (const [at, command] of commands.entries()) {
        if (this.failed !== undefined) return;
        await this.yieldTurn();
        try {
          await run(command, check);
        } catch (error) {
          this.failed = isFailure(error)
            ? error
            : failure('OC-DEVICE-02', { command: at, reason: String(error) }, { cause: error });
        }
      }
    });
  }

  /** Replace by your driver's wait; report here what went wrong since the last report. */
  async sync(): Promise<void> {
    await this.tail;
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
}

/** The bytes that a handle, an offset and a length mean, checked. */
function blockOf(memory: Memory, offset: number, bytes: number): Uint8Array {
  if (!(memory instanceof PretendMemory) || memory.block === undefined) {
    throw failure('OC-DEVICE-03', { reason: 'memory that is freed or of another device' });
  }
  if (offset < 0 || offset + bytes > memory.bytes) {
    const reason = `bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`;
    throw failure('OC-DEVICE-03', { reason });
  }
  return memory.block.subarray(offset, offset + bytes);
}

const bytesOf = (argument: MemoryArgument): Uint8Array =>
  blockOf(argument.memory, argument.offset, argument.bytes);

async function run(command: Command, check: () => void): Promise<void> {
  check();
  switch (command.kind) {
    case 'copy':
      return void bytesOf(command.to).set(bytesOf(command.from));
    case 'fill':
      return void bytesOf(command.to).fill(command.byte);
    case 'launch':
      return launch(command, check);
    default:
      throw refused(`command ${command.kind}`, 'the pretend chip has no such command');
  }
}

/** Runs a kernel's tasks in slices, so that timers fire and stops are seen between them. */
async function launch(
  command: Extract<Command, { kind: 'launch' }>,
  check: () => void,
): Promise<void> {
  const module = command.module;
  const kernel = module instanceof PretendModule ? module.kernels[command.entry] : undefined;
  if (kernel === undefined) throw failure('OC-DEVICE-03', { reason: 'no such kernel is loaded' });
  const buffers = command.buffers.map(bytesOf);
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
