/** Constants of a program in device memory: written once, and what kernels make of them. */
import { failure } from '../base/errors.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Buffer, Procedure } from '../codegen/program.js';
import type { Memory, MemoryArgument } from './contract.js';
import { launchCommand, readyLaunch } from './procedure.js';
import { type Session, tensorBytes } from './session.js';

export type FixedPlaces = ReadonlyMap<Procedure, ReadonlyMap<number, MemoryArgument>>;

/** Bytes of one allocation that small constants share. */
const chunkBytes = 2 ** 26;

/** A procedure and all procedures inside it. */
export function proceduresOf(main: Procedure): readonly Procedure[] {
  const found: Procedure[] = [];
  const stack = [main];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    found.push(next);
    for (const step of next.steps) {
      if (step.kind !== 'region') continue;
      stack.push(...(step.op === 'if' ? [step.then, step.else] : [step.body]));
    }
  }
  return found;
}

/** Writes all constants and runs the launches that prepare them. */
export class Constants {
  readonly places = new Map<Procedure, Map<number, MemoryArgument>>();
  private readonly session: Session;
  private readonly memories: Memory[] = [];
  private chunk: { readonly memory: Memory; used: number } | undefined;

  constructor(session: Session) {
    this.session = session;
  }

  async prepare(main: Procedure): Promise<void> {
    const { session } = this;
    const shared = new Map<HostTensor, MemoryArgument>();
    session.begin({});
    for (const procedure of proceduresOf(main)) {
      const places = new Map<number, MemoryArgument>();
      this.places.set(procedure, places);
      for (const buffer of procedure.buffers) {
        if (buffer.role !== 'constant' && buffer.role !== 'once') continue;
        const { tensor } = buffer;
        const seen = tensor === undefined ? undefined : shared.get(tensor);
        const place = seen ?? (await this.place(buffer));
        places.set(buffer.id, place);
        if (tensor === undefined || seen !== undefined) continue;
        shared.set(tensor, place);
        session.write(place, tensorBytes(tensor));
      }
      for (const step of procedure.once) {
        const environment = new Map<string, number>();
        const command = await launchCommand(session, readyLaunch(step), { environment, places });
        if (command !== undefined) session.command(command);
      }
    }
    await session.settle();
    await session.read([]);
  }

  private async place(buffer: Buffer): Promise<MemoryArgument> {
    const bytes = Number(buffer.bytes);
    const { maxBufferBytes, sharedBuffers, offsetAlignment } = this.session.opened.target;
    if (bytes > maxBufferBytes) {
      const details = { need: bytes, limit: maxBufferBytes, largest: bytes };
      throw failure('OC-MEMORY-01', details, { kind: 'refused', retry: 'other-device' });
    }
    if (!sharedBuffers || bytes > chunkBytes / 4) {
      const memory = await this.allocate(Math.max(bytes, 1));
      return { memory, offset: 0, bytes, access: 'read' };
    }
    const aligned = Math.ceil(bytes / offsetAlignment) * offsetAlignment;
    if (this.chunk === undefined || this.chunk.used + aligned > this.chunk.memory.bytes) {
      this.chunk = { memory: await this.allocate(this.chunkSize(aligned)), used: 0 };
    }
    const { memory, used: offset } = this.chunk;
    this.chunk.used += aligned;
    return { memory, offset, bytes, access: 'read' };
  }

  /** Doubles from chunk to chunk, so that a small program takes little. */
  private chunkSize(least: number): number {
    const { maxBufferBytes } = this.session.opened.target;
    const next = Math.min(2 ** (12 + 2 * this.memories.length), chunkBytes, maxBufferBytes);
    return Math.max(next, least);
  }

  private async allocate(bytes: number): Promise<Memory> {
    const memory = await this.session.allocate(bytes);
    this.memories.push(memory);
    return memory;
  }

  release(): void {
    for (const memory of this.memories) this.session.free(memory);
    this.memories.length = 0;
  }
}
