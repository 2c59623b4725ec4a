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
  /** Where the module's bytes lie, in the linear memory. */
  readonly moduleAddress: number;
  readonly moduleBytes: number;
  /** Number of the function among the module's exports. */
  readonly entry: number;
  readonly scratch: number;
  /** Bytes of scratch of one thread. */
  readonly scratchBytes: number;
  /** Tasks that a worker takes at a time. */
  readonly chunk: number;
  /** First task that nobody has, and the end of all: numbers of 64 bits. */
  readonly next: number;
  readonly end: number;
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
  /** Number of this thread; the calling thread is 0. */
  readonly thread: number;
  /** Looks at the words before it sleeps. */
  readonly spins: number;
}

type Task = (buffers: number, sizes: number, scratch: number, begin: bigint, end: bigint) => void;

/** Never returns: the worker is terminated from outside. */
export function work({ memory, shared, words, buffers, sizes, thread, spins }: WorkerData): void {
  const control = new Int32Array(shared);
  const tasks = new BigInt64Array(shared);
  const slots: { version: number; entries: Task[] }[] = [];

  const entryOf = (): Task | undefined => {
    const slot = control[words.slot] as number;
    const version = control[words.version] as number;
    let known = slots[slot];
    if (known?.version !== version) {
      // Another thread may have grown the memory; this makes its buffer known here.
      memory.grow(0);
      const address = (control[words.moduleAddress] as number) >>> 0;
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

  const takeTasks = (): void => {
    const run = entryOf();
    const scratch = (control[words.scratch] as number) >>> 0;
    const own = scratch + thread * (control[words.scratchBytes] as number);
    const chunk = BigInt(control[words.chunk] as number);
    const end = tasks[words.end] as bigint;
    for (;;) {
      const first = Atomics.add(tasks, words.next, chunk);
      if (first >= end) return;
      const last = first + chunk < end ? first + chunk : end;
      run?.(buffers, sizes, own, first, last);
    }
  };

  const report = (error: unknown): void => {
    Atomics.store(tasks, words.next, tasks[words.end] as bigint);
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
