/** What the surroundings offer for threads: how many, and how a worker is started. */
import { type WorkerData, work } from './worker.js';

/** A worker that was started. */
export interface Running {
  /** Settles once it has stopped. */
  stop(): Promise<unknown>;
}

export interface Threads {
  /** Threads that run at the same time. */
  readonly cores: number;
  /** Whether the calling thread may sleep. */
  readonly mayWait: boolean;
  /** `ended` is told the reason when the worker stops by itself. */
  start(data: WorkerData, ended: (reason: string) => void): Running;
}

/** What of Node's interface is used. */
interface NodeWorker {
  on(event: 'error' | 'exit', listener: (value: unknown) => void): void;
  terminate(): Promise<number>;
  unref(): void;
}
interface NodeThreads {
  readonly Worker: new (text: string, options: object) => NodeWorker;
}
interface NodeSystem {
  availableParallelism(): number;
}
interface NodeProcess {
  getBuiltinModule?(name: string): unknown;
}

let found: { readonly threads: Threads | undefined } | undefined;

/** Undefined where there is no shared memory, or no worker. Looks once. */
export function findThreads(): Threads | undefined {
  found ??= { threads: lookForThreads() };
  return found.threads;
}

function lookForThreads(): Threads | undefined {
  if (!canShareMemory()) return undefined;
  const { process } = globalThis as { process?: NodeProcess };
  const threads = process?.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined;
  const system = process?.getBuiltinModule?.('node:os') as NodeSystem | undefined;
  if (threads !== undefined && system !== undefined) return nodeThreads(threads, system);
  const { Worker } = globalThis as { Worker?: typeof globalThis.Worker };
  return Worker === undefined ? undefined : pageThreads(Worker);
}

function canShareMemory(): boolean {
  // A page has this only where its headers keep it apart from others.
  if (typeof SharedArrayBuffer === 'undefined') return false;
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return memory.buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

function nodeThreads({ Worker }: NodeThreads, system: NodeSystem): Threads {
  const text = `(${work})(require('node:worker_threads').workerData)`;
  return {
    cores: system.availableParallelism(),
    mayWait: true,
    start(workerData, ended) {
      const worker = new Worker(text, { eval: true, workerData, execArgv: [] });
      // A worker that has nothing to do keeps no process alive.
      worker.unref();
      worker.on('error', (error) => ended(String(error)));
      worker.on('exit', (status) => ended(`a worker ended with status ${status}`));
      return { stop: () => worker.terminate() };
    },
  };
}

function pageThreads(Worker: typeof globalThis.Worker): Threads {
  const { navigator, document } = globalThis as {
    navigator?: { readonly hardwareConcurrency?: number };
    document?: unknown;
  };
  return {
    cores: navigator?.hardwareConcurrency ?? 1,
    mayWait: document === undefined,
    start(data, ended) {
      const text = `onmessage = ({ data }) => (${work})(data)`;
      const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
      const worker = new Worker(address);
      worker.onerror = ({ message }) => ended(message || 'a worker did not start');
      worker.postMessage(data);
      return {
        async stop() {
          worker.terminate();
          URL.revokeObjectURL(address);
        },
      };
    },
  };
}
