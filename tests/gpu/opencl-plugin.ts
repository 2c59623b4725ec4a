/** OpenCL as a plug-in for tests: everything runs at once, memory lies on the host. */
import type {
  Binary,
  Command,
  Device,
  DevicePlugin,
  Lost,
  Memory,
  Module,
  Target,
} from '@open-claw/core/device';
import { gpuLanguage } from '@open-claw/core/device';
import type { Loaded, OpenCl } from './opencl.js';

interface Block extends Memory {
  readonly block: Uint8Array;
}
interface Kernels extends Module {
  readonly loaded: Loaded;
}

const bytesOf = (a: { memory: Memory; offset: number; bytes: number }): Uint8Array =>
  (a.memory as Block).block.subarray(a.offset, a.offset + a.bytes);

class OpenClDevice implements Device {
  readonly lost: Promise<Lost> = new Promise(() => {});
  private readonly cl: OpenCl;
  private failed: unknown;

  constructor(cl: OpenCl) {
    this.cl = cl;
  }

  async allocate(bytes: number): Promise<Memory> {
    return { bytes, block: new Uint8Array(bytes) } as Memory;
  }

  free(): void {}

  async write(to: Memory, offset: number, bytes: Uint8Array): Promise<void> {
    (to as Block).block.set(bytes, offset);
  }

  async read(from: Memory, offset: number, into: Uint8Array): Promise<void> {
    await this.sync();
    into.set((from as Block).block.subarray(offset, offset + into.byteLength));
  }

  async load(binary: Binary): Promise<Module> {
    const text = new TextDecoder().decode(binary.bytes);
    const { entries } = binary;
    return { entries, loaded: this.cl.load({ text, entries }) } as Module;
  }

  submit(commands: readonly Command[]): void {
    for (const command of commands) {
      try {
        this.execute(command);
      } catch (error) {
        this.failed ??= error;
      }
    }
  }

  async sync(): Promise<void> {
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  async close(): Promise<void> {}

  private execute(command: Command): void {
    if (command.kind === 'copy') bytesOf(command.to).set(bytesOf(command.from));
    else if (command.kind === 'fill') bytesOf(command.to).fill(command.byte);
    else if (command.kind === 'launch') {
      const tasks = command.grid.reduce((product, extent) => product * extent, 1);
      if (tasks === 0) return;
      const { loaded } = command.module as Kernels;
      // A buffer of its own per argument: what a kernel leaves untouched comes back unchanged.
      loaded.run(command.entry, tasks, command.buffers.map(bytesOf), command.sizes);
    } else throw new Error(`command ${command.kind}`);
  }
}

/** The plug-in of an OpenCL platform; kernels are made for `target`. */
export function openClPlugin(cl: OpenCl, target: Target): DevicePlugin {
  const id = 'opencl-test';
  return {
    contract: 1,
    name: id,
    targets: [target],
    language: gpuLanguage('opencl'),
    async probe() {
      const found = { id, model: cl.name, driver: 'OpenCL', target, freeBytes: 2 ** 30 };
      return [{ ...found, peers: [], marks: ['software'] }];
    },
    async compile(source) {
      const bytes = new TextEncoder().encode(source.text ?? '');
      const { entries } = source;
      return { format: 'opencl', target: target.id, toolchain: 'OpenCL', bytes, entries };
    },
    async open() {
      return new OpenClDevice(cl);
    },
  };
}
