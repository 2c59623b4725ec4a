/**
 * What a worker does: it sleeps until a launch is open, then takes ranges of tasks until none are
 * left. The text of the function is what workers run, so it uses nothing outside of itself.
 */

/** Positions in the words that workers and the calling thread share; see `Crew`. */
export interface Words {
  /** Counts launches; workers sleep on it. */
  readonly opened: number;
  /** 1 while workers may take tasks. */
  readonly open: number;
  /** Workers that may be running tasks. */
  readonly inside: number;
  /** Bytes of the text of the first error; 0 for none. */
  readonly failed: number;
  /** Which of the slots the module has, and how often the slot was given. */
  readonly slot: number;
  readonly version: number;
  readonly moduleBytes: number;
  /** Number of the function among the module's exports. */
  readonly entry: number;
  /** Bytes of scratch of one thread. */
  readonly scratchBytes: number;
  /** Tasks that a worker takes at a time. */
  readonly chunk: number;
  /** First task that nobody has, and the end of all: numbers of 64 bits, as those below. */
  readonly next: number;
  readonly end: number;
  /** Where the module's bytes and the scratch lie, in the linear memory. */
  readonly moduleAddress: number;
  readonly scratch: number;
  /**
   * Tasks in blocks that are filled one after the other: how many blocks have a place at a time (0
   * where all tasks are open at once), how many there are, are filled, and are taken.
   */
  readonly slots: number;
  readonly blocks: number;
  readonly filled: number;
  readonly taken: number;
  /** Of each slot, the number after that of the block which was run there last. */
  readonly done: number;
  /** Where the first slot's block of arguments lies, and how far it is to the next: 64 bits. */
  readonly arguments: number;
  readonly stride: number;
  /** First byte, and bytes, of the error's text. */
  readonly text: number;
  readonly textBytes: number;
}

export interface WorkerData {
  readonly memory: WebAssembly.Memory;
  readonly shared: SharedArrayBuffer;
  readonly words: Words;
  /** Addresses of the blocks of arguments. */
  readonly buffers: number;
  readonly sizes: number;
  /** Whether addresses have 64 bits. */
  readonly wide: boolean;
  /** Number of this thread; the calling thread is 0. */
  readonly thread: number;
  /** Looks at the words before it sleeps. */
  readonly spins: number;
}

type Address = number | bigint;
type Task = (b: Address, sizes: Address, scratch: Address, begin: bigint, end: bigint) => void;

/** Never returns: the worker is terminated from outside. */
export function work(data: WorkerData): void {
  const { memory, shared, words, thread, spins } = data;
  const control = new Int32Array(shared);
  const tasks = new BigInt64Array(shared);
  const addressOf = data.wide ? BigInt : (address: number): Address => address;
  const [buffers, sizes] = [addressOf(data.buffers), addressOf(data.sizes)];
  const slots: { version: number; entries: Task[] }[] = [];

  const entryOf = (): Task | undefined => {
    const slot = control[words.slot] as number;
    const version = control[words.version] as number;
    let known = slots[slot];
    if (known?.version !== version) {
      // Another thread may have grown the memory; this makes its buffer known here.
      try {
        memory.grow(0);
      } catch {
        // Engines differ in whether a wide memory takes this or that kind of number.
        (memory.grow as (pages: unknown) => number).call(memory, BigInt(0));
      }
      const address = Number(tasks[words.moduleAddress]);
      const bytes = control[words.moduleBytes] as number;
      const code = new Uint8Array(bytes);
      code.set(new Uint8Array(memory.buffer, address, bytes));
      const module = new WebAssembly.Module(code);
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      const names = WebAssembly.Module.exports(module).map(({ name }) => name);
      known = { version, entries: names.map((name) => exports[name] as unknown as Task) };
      slots[slot] = known;
    }
    return known.entries[control[words.entry] as number];
  };

  const takeBlocks = (slots: number, run: (at: number, block: number) => void): void => {
    const blocks = control[words.blocks] as number;
    const [first, stride] = [Number(tasks[words.arguments]), Number(tasks[words.stride])];
    for (;;) {
      const block = Atomics.load(control, words.taken);
      if (block >= blocks) return;
      const filled = Atomics.load(control, words.filled);
      if (block >= filled) {
        for (let i = 0; i < spins && Atomics.load(control, words.filled) === filled; i++);
        Atomics.wait(control, words.filled, filled);
      } else if (Atomics.compareExchange(control, words.taken, block, block + 1) === block) {
        run(first + (block % slots) * stride, block);
        Atomics.store(control, words.done + (block % slots), block + 1);
        Atomics.notify(control, words.done + (block % slots));
      }
    }
  };

  const takeTasks = (): void => {
    const run = entryOf();
    const scratch = Number(tasks[words.scratch]);
    const own = addressOf(scratch + thread * (control[words.scratchBytes] as number));
    const chunk = BigInt(control[words.chunk] as number);
    const end = tasks[words.end] as bigint;
    const slots = control[words.slots] as number;
    if (slots > 0) {
      takeBlocks(slots, (at, block) => {
        const first = BigInt(block) * chunk;
        const last = first + chunk < end ? first + chunk : end;
        run?.(addressOf(at), sizes, own, first, last);
      });
      return;
    }
    for (;;) {
      const first = Atomics.add(tasks, words.next, chunk);
      if (first >= end) return;
      const last = first + chunk < end ? first + chunk : end;
      run?.(buffers, sizes, own, first, last);
    }
  };

  const report = (error: unknown): void => {
    Atomics.store(tasks, words.next, tasks[words.end] as bigint);
    Atomics.store(control, words.taken, control[words.blocks] as number);
    const text = new TextEncoder().encode(String(error)).subarray(0, words.textBytes);
    if (Atomics.compareExchange(control, words.failed, 0, Math.max(1, text.length)) === 0) {
      new Uint8Array(shared, words.text, text.length).set(text);
    }
  };

  let seen = 0;
  for (;;) {
    for (let i = 0; i < spins && Atomics.load(control, words.opened) === seen; i++);
    Atomics.wait(control, words.opened, seen);
    seen = Atomics.load(control, words.opened);
    // Who is inside keeps the launch's words as they are; who came too late goes without a look.
    Atomics.add(control, words.inside, 1);
    if (Atomics.load(control, words.open) === 1) {
      try {
        takeTasks();
      } catch (error) {
        report(error);
      }
    }
    Atomics.sub(control, words.inside, 1);
    Atomics.notify(control, words.inside);
  }
}
