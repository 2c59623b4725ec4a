/**
 * Constants of a program in device memory: written once, with what kernels make of them. What is
 * only packed does not stay in its first layout.
 */
import { failure } from '../base/errors.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Buffer, LaunchStep, Procedure } from '../codegen/program.js';
import { readBuffers } from '../codegen/segments.js';
import {
  type Block,
  type ConstantStore,
  type Content,
  type Stored,
  storeOf,
} from './constant-store.js';
import type { Memory, MemoryArgument } from './contract.js';
import { launchCommand, readyLaunch } from './procedure.js';
import { type Session, tensorBytes } from './session.js';

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

/** Launches that write the same buffers, and these buffers. */
interface Packing {
  readonly launches: LaunchStep[];
  readonly buffers: Set<number>;
}

/** Writes all constants and runs the launches that prepare them. */
export class Constants {
  readonly places = new Map<Procedure, Map<number, MemoryArgument>>();
  private readonly session: Session;
  private readonly store: ConstantStore;
  private readonly held = new Map<string, Stored>();
  private readonly blocks = new Set<Block>();
  private readonly contents = new Map<HostTensor, Content>();
  private readonly chunks: { readonly block: Block; used: number }[] = [];

  constructor(session: Session) {
    this.session = session;
    this.store = storeOf(session.opened.device);
  }

  async prepare(main: Procedure): Promise<void> {
    const { session, store } = this;
    session.begin({});
    const made = new Map<string, Stored>();
    const hold = async (key: string, bytes: number): Promise<Stored> => {
      const known = store.find(key) ?? made.get(key);
      const entry = known ?? (await this.place(key, bytes));
      if (known === undefined) made.set(key, entry);
      this.retain(entry);
      return entry;
    };
    for (const procedure of proceduresOf(main)) await this.prepareOne(procedure, hold);
    await session.settle();
    await session.read([]);
    for (const entry of made.values()) store.add(entry);
  }

  private async prepareOne(
    procedure: Procedure,
    hold: (key: string, bytes: number) => Promise<Stored>,
  ): Promise<void> {
    const { session } = this;
    const places = new Map<number, MemoryArgument>();
    this.places.set(procedure, places);
    const byId = new Map(procedure.buffers.map((buffer) => [buffer.id, buffer]));
    const keys = new Map<number, string>();
    const read = readBuffers(procedure);
    for (const { id, tensor, role, bytes } of procedure.buffers) {
      if (role !== 'constant' || tensor === undefined) continue;
      const key = `content ${this.contentOf(tensor).id}`;
      keys.set(id, key);
      if (!read.has(id)) continue;
      const isNew = !this.isKnown(key);
      const { place } = await hold(key, Number(bytes));
      places.set(id, place);
      if (isNew) session.write(place, tensorBytes(tensor));
    }
    for (const packing of packingsOf(procedure)) {
      const name = this.nameOf(packing, keys);
      const ids = [...packing.buffers];
      ids.forEach((id, i) => {
        keys.set(id, `packed ${name} ${i}`);
      });
      const isNew = !ids.every((id) => this.isKnown(keys.get(id) as string));
      for (const id of ids) {
        const { bytes } = byId.get(id) as Buffer;
        places.set(id, (await hold(keys.get(id) as string, Number(bytes))).place);
      }
      if (isNew) await this.pack(packing, places, byId);
    }
  }

  /** Runs the launches; constants that nobody else reads are there only meanwhile. */
  private async pack(
    { launches }: Packing,
    places: ReadonlyMap<number, MemoryArgument>,
    byId: ReadonlyMap<number, Buffer>,
  ): Promise<void> {
    const { session } = this;
    const { device } = session.opened;
    const all = new Map(places);
    const passing: Memory[] = [];
    const shared: Memory[] = [];
    for (const id of new Set(launches.flatMap(({ buffers }) => buffers))) {
      const { tensor } = byId.get(id) as Buffer;
      if (all.has(id) || tensor === undefined) continue;
      const bytes = tensorBytes(tensor);
      // Where the device can, it reads the host's array where it lies.
      const own = bytes.byteLength === 0 ? undefined : device.wrap?.(bytes);
      if (own !== undefined) {
        shared.push(own);
        all.set(id, { memory: own, offset: 0, bytes: bytes.byteLength, access: 'read' });
        continue;
      }
      const memory = await session.allocate(Math.max(bytes.byteLength, 1));
      passing.push(memory);
      all.set(id, { memory, offset: 0, bytes: bytes.byteLength, access: 'read' });
      session.write(all.get(id) as MemoryArgument, bytes);
    }
    for (const step of launches) {
      const frame = { environment: new Map<string, number>(), places: all };
      const command = await launchCommand(session, readyLaunch(session, step), frame);
      if (command !== undefined) session.command(command);
    }
    for (const memory of passing) session.free(memory);
    session.flush();
    for (const memory of shared) device.free(memory);
  }

  private contentOf(tensor: HostTensor): Content {
    const known = this.contents.get(tensor);
    if (known !== undefined) return known;
    const content = this.store.contentOf(tensor);
    this.contents.set(tensor, content);
    return content;
  }

  /** Packings of equal constants by equal kernels have one name. */
  private nameOf({ launches, buffers }: Packing, keys: ReadonlyMap<number, string>): number {
    const own = new Map([...buffers].map((id, i) => [id, `own ${i}`]));
    const parts = launches.map(({ layout = '', buffers: bound }) => {
      const values = bound.map((id) => own.get(id) ?? keys.get(id));
      return `${this.store.nameOf(layout)}(${values.join(',')})`;
    });
    return this.store.nameOf(parts.join(';'));
  }

  private isKnown(key: string): boolean {
    return this.held.has(key) || this.store.find(key) !== undefined;
  }

  private retain(entry: Stored): void {
    if (this.held.has(entry.key)) return;
    this.held.set(entry.key, entry);
    entry.users++;
    if (this.blocks.has(entry.block)) return;
    this.session.take(entry.block.memory.bytes);
    this.blocks.add(entry.block);
  }

  private async place(key: string, bytes: number): Promise<Stored> {
    const { maxBufferBytes, sharedBuffers, offsetAlignment } = this.session.opened.target;
    if (bytes > maxBufferBytes) {
      const details = { need: bytes, limit: maxBufferBytes, largest: bytes };
      throw failure('OC-MEMORY-01', details, { kind: 'refused', retry: 'other-device' });
    }
    if (!sharedBuffers || bytes > chunkBytes / 4) {
      const block = await this.allocate(Math.max(bytes, 1));
      return entryAt(key, block, 0, bytes);
    }
    const aligned = Math.ceil(bytes / offsetAlignment) * offsetAlignment;
    // A large one leaves room in those before it.
    let chunk = this.chunks.find(({ block, used }) => used + aligned <= block.memory.bytes);
    if (chunk === undefined) {
      chunk = { block: await this.allocate(this.chunkSize(aligned)), used: 0 };
      this.chunks.push(chunk);
    }
    const { block, used } = chunk;
    chunk.used += aligned;
    return entryAt(key, block, used, bytes);
  }

  /** Grows from chunk to chunk, so that a small program takes little. */
  private chunkSize(least: number): number {
    const { maxBufferBytes } = this.session.opened.target;
    const next = Math.min(2 ** (12 + 2 * this.chunks.length), chunkBytes, maxBufferBytes);
    return Math.max(next, least);
  }

  private async allocate(bytes: number): Promise<Block> {
    const { session } = this;
    session.take(bytes);
    try {
      const block = { memory: await session.opened.device.allocate(bytes), live: 0 };
      this.blocks.add(block);
      return block;
    } catch (error) {
      session.give(bytes);
      throw error;
    }
  }

  /** After the program's last run, or where preparing failed. */
  release(): void {
    for (const entry of this.held.values()) this.store.release(entry);
    for (const { memory } of this.blocks) this.session.give(memory.bytes);
    for (const content of this.contents.values()) this.store.releaseContent(content);
    this.held.clear();
    this.blocks.clear();
    this.contents.clear();
  }
}

function entryAt(key: string, block: Block, offset: number, bytes: number): Stored {
  block.live++;
  const place: MemoryArgument = { memory: block.memory, offset, bytes, access: 'read' };
  return { key, place, block, users: 0 };
}

/** Launches joined by the buffers that they write, in order of their first launch. */
function packingsOf({ once }: Procedure): readonly Packing[] {
  const byBuffer = new Map<number, Packing>();
  const found = new Set<Packing>();
  for (const step of once) {
    const written = step.buffers.filter((_, i) => step.access[i] !== 'read');
    const joined: Packing = { launches: [], buffers: new Set() };
    for (const id of written) {
      const other = byBuffer.get(id);
      if (other === undefined || !found.delete(other)) continue;
      joined.launches.push(...other.launches);
      for (const each of other.buffers) joined.buffers.add(each);
    }
    joined.launches.push(step);
    for (const id of written) joined.buffers.add(id);
    for (const id of joined.buffers) byBuffer.set(id, joined);
    found.add(joined);
  }
  return [...found];
}
