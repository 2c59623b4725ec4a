/**
 * Workers that share the device's memory. A launch is open while they may take tasks from it; the
 * calling thread takes tasks too, then closes it and waits until nobody is inside.
 */
import type { Job } from './queue.js';
import type { Running, Threads } from './threads.js';
import type { Words } from './worker.js';

const words: Words = {
  opened: 0,
  open: 1,
  inside: 2,
  failed: 3,
  slot: 4,
  version: 5,
  moduleBytes: 6,
  entry: 7,
  scratchBytes: 8,
  chunk: 9,
  slots: 10,
  blocks: 11,
  filled: 12,
  taken: 13,
  next: 8,
  end: 9,
  moduleAddress: 10,
  scratch: 11,
  arguments: 12,
  stride: 13,
  text: 128,
  textBytes: 896,
  done: 256,
};
/** Blocks of tasks that have a place at a time. */
export const mostSlots = 64;
const sharedBytes = 4 * (words.done + mostSlots);

/** About 50 microseconds of looking, which is what waking a worker up costs. */
const spins = 2000;
const spinMilliseconds = 0.05;
/** The calling thread sleeps no longer at a time. */
const napMilliseconds = 1;

/** A launch as workers see it. */
export interface SharedLaunch {
  readonly slot: number;
  readonly version: number;
  readonly moduleAddress: number;
  readonly moduleBytes: number;
  readonly entry: number;
  readonly scratch: number;
  readonly scratchBytes: number;
  readonly chunk: number;
  readonly tasks: number;
  /** Where chunks of tasks are opened one after the other, each with arguments of its own. */
  readonly ring?: Ring;
}

/** As many chunks as there are slots have a place at a time, at most `mostSlots`. */
export interface Ring {
  readonly slots: number;
  /** Address of the first slot's block of arguments, and the bytes to the next one's. */
  readonly arguments: number;
  readonly stride: number;
}

interface Crew {
  readonly shared: SharedArrayBuffer;
  readonly control: Int32Array;
  readonly counters: BigInt64Array;
  readonly workers: readonly Running[];
  /** Why one of them stopped by itself. */
  broken: string | undefined;
}

export class Pool {
  /** Threads with the calling one. */
  readonly threads: number;
  private readonly memory: WebAssembly.Memory;
  private readonly host: Threads;
  private readonly blocks: { readonly buffers: number; readonly sizes: number };
  private readonly wide: boolean;
  private crew: Crew | undefined;

  constructor(
    memory: WebAssembly.Memory,
    host: Threads,
    threads: number,
    blocks: { readonly buffers: number; readonly sizes: number },
    wide = false,
  ) {
    this.memory = memory;
    this.host = host;
    this.threads = threads;
    this.blocks = blocks;
    this.wide = wide;
  }

  /** Lets workers take tasks; the first launch starts them, and may be over before they come. */
  open(launch: SharedLaunch): void {
    this.crew ??= this.start();
    const { control, counters } = this.crew;
    control[words.failed] = 0;
    control[words.slot] = launch.slot;
    control[words.version] = launch.version;
    control[words.moduleBytes] = launch.moduleBytes;
    control[words.entry] = launch.entry;
    control[words.scratchBytes] = launch.scratchBytes;
    control[words.chunk] = launch.chunk;
    counters[words.moduleAddress] = BigInt(launch.moduleAddress);
    counters[words.scratch] = BigInt(launch.scratch);
    counters[words.next] = 0n;
    counters[words.end] = BigInt(launch.tasks);
    const { ring } = launch;
    control[words.slots] = ring?.slots ?? 0;
    control[words.blocks] = ring === undefined ? 0 : Math.ceil(launch.tasks / launch.chunk);
    control[words.filled] = 0;
    control[words.taken] = 0;
    control.fill(0, words.done);
    counters[words.arguments] = BigInt(ring?.arguments ?? 0);
    counters[words.stride] = BigInt(ring?.stride ?? 0);
    Atomics.store(control, words.open, 1);
    Atomics.add(control, words.opened, 1);
    Atomics.notify(control, words.opened);
  }

  /** The first of `count` tasks that nobody else takes; at the end, one beyond the last. */
  take(count: number): number {
    const { counters } = this.crew as Crew;
    return Number(Atomics.add(counters, words.next, BigInt(count)));
  }

  /** Opens the next chunk of a ring. */
  fill(): void {
    const { control } = this.crew as Crew;
    Atomics.add(control, words.filled, 1);
    Atomics.notify(control, words.filled, 1);
  }

  /** The first chunk that is open and that nobody else takes. */
  takeFilled(): number | undefined {
    const { control } = this.crew as Crew;
    for (;;) {
      const chunk = Atomics.load(control, words.taken);
      if (chunk >= Atomics.load(control, words.filled)) return undefined;
      if (Atomics.compareExchange(control, words.taken, chunk, chunk + 1) === chunk) return chunk;
    }
  }

  /** What the calling thread has run is done. */
  finish(chunk: number, slots: number): void {
    Atomics.store((this.crew as Crew).control, words.done + (chunk % slots), chunk + 1);
  }

  /** Whether a chunk has run that has a place. */
  isDone(chunk: number, slots: number): boolean {
    return Atomics.load((this.crew as Crew).control, words.done + (chunk % slots)) > chunk;
  }

  /** Waits a little for a chunk that a worker runs; false where a worker failed. */
  await(chunk: number, slots: number): boolean {
    const crew = this.crew as Crew;
    const { control } = crew;
    const at = words.done + (chunk % slots);
    const end = performance.now() + spinMilliseconds;
    for (;;) {
      const seen = Atomics.load(control, at);
      if (seen > chunk) return true;
      if (crew.broken !== undefined || Atomics.load(control, words.failed) > 0) return false;
      if (performance.now() < end) continue;
      if (this.host.mayWait) Atomics.wait(control, at, seen, napMilliseconds);
      return true;
    }
  }

  /** Closes the launch and waits for its workers. Throws what one of them threw. */
  *close(): Job {
    const crew = this.crew as Crew;
    const { control, counters } = crew;
    Atomics.store(counters, words.next, counters[words.end] as bigint);
    Atomics.store(control, words.open, 0);
    // Those who wait for another chunk see that none are left.
    Atomics.store(control, words.taken, control[words.blocks] as number);
    Atomics.add(control, words.filled, 1);
    Atomics.notify(control, words.filled);
    const end = performance.now() + spinMilliseconds;
    for (;;) {
      const inside = Atomics.load(control, words.inside);
      const { broken } = crew;
      if (broken !== undefined) {
        yield* this.dismiss();
        throw new Error(`${broken}; with threads: 1 the device needs no worker`);
      }
      if (inside === 0) break;
      if (performance.now() < end) continue;
      if (this.host.mayWait) Atomics.wait(control, words.inside, inside, napMilliseconds);
      yield;
    }
    const length = control[words.failed] as number;
    if (length > 0) throw errorOf(crew.shared, length);
  }

  /** Stops the workers; the next launch starts new ones. */
  async end(): Promise<void> {
    const { crew } = this;
    this.crew = undefined;
    await Promise.all((crew?.workers ?? []).map((worker) => worker.stop()));
  }

  private *dismiss(): Job {
    let done = false;
    void this.end().finally(() => {
      done = true;
    });
    while (!done) yield;
  }

  private start(): Crew {
    const { memory, host, blocks, threads, wide } = this;
    const shared = new SharedArrayBuffer(sharedBytes);
    const control = new Int32Array(shared);
    const ended = (reason: string): void => {
      crew.broken ??= reason;
    };
    const workers = Array.from({ length: threads - 1 }, (_, i) =>
      host.start({ memory, shared, words, ...blocks, wide, thread: i + 1, spins }, ended),
    );
    const counters = new BigInt64Array(shared);
    const crew: Crew = { shared, control, counters, workers, broken: undefined };
    return crew;
  }
}

/** The error that a worker wrote down as text. */
function errorOf(shared: SharedArrayBuffer, length: number): Error {
  const bytes = new Uint8Array(length);
  bytes.set(new Uint8Array(shared, words.text, length));
  const text = new TextDecoder().decode(bytes);
  const [, name = 'Error', message = text] = /^(\w+): (.*)$/s.exec(text) ?? [];
  return Object.assign(new Error(message), { name });
}
