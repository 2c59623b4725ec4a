/**
 * Writes a batch of commands into one command buffer: launches share passes, sizes share one
 * uniform buffer, and what WebGPU forbids (a buffer bound to be read and written, moves of odd
 * bytes) goes through copies.
 */
import type { Command, MemoryArgument } from '@open-claw/core/device';
import { failure, refused } from '@open-claw/core/device';
import { copyMark } from './bytes.js';
import { invalid, type MemoryPool, usage } from './memory.js';
import { GpuModule, type Kernel } from './module.js';

type Launch = Extract<Command, { kind: 'launch' }>;

/** What all batches of a device share. */
export interface Shared {
  readonly gpu: GPUDevice;
  readonly pool: MemoryPool;
  readonly move: Kernel;
  readonly uniforms: Uniforms;
}

/** A buffer as it is bound: whole words from an aligned offset. */
interface Bound {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
}

const words = (bytes: number): number => Math.ceil(bytes / 4) * 4;
const leastBinding = 16;
const mostBindGroups = 64;

/** Numbers of buffers, for the keys of bind groups. */
const numbers = new WeakMap<GPUBuffer, number>();
let nextNumber = 0;
function numberOf(buffer: GPUBuffer): number {
  const known = numbers.get(buffer) ?? nextNumber++;
  numbers.set(buffer, known);
  return known;
}

/** The sizes of a batch's launches, in slots of one buffer that grows. */
export class Uniforms {
  private readonly gpu: GPUDevice;
  readonly step: number;
  buffer: GPUBuffer;

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
    this.step = gpu.limits.minUniformBufferOffsetAlignment;
    this.buffer = this.create(64 * this.step);
  }

  private create(size: number): GPUBuffer {
    return this.gpu.createBuffer({ size, usage: usage.uniform | usage.copyTarget });
  }

  /** Makes room for so many bytes; bind groups of the old buffer are of no more use. */
  reserve(bytes: number): void {
    if (this.buffer.size >= bytes) return;
    this.buffer.destroy();
    this.buffer = this.create(2 ** Math.ceil(Math.log2(bytes)));
  }
}

export class BatchEncoder {
  private readonly shared: Shared;
  private readonly encoder: GPUCommandEncoder;
  private pass: GPUComputePassEncoder | undefined;
  private readonly sizes: Int32Array<ArrayBuffer>;
  private used = 0;
  private readonly temporaries: GPUBuffer[] = [];
  /** Bytes of buffers that live as long as this batch. */
  temporaryBytes = 0;

  /** For at most `count` commands. */
  constructor(shared: Shared, count: number) {
    this.shared = shared;
    this.encoder = shared.gpu.createCommandEncoder();
    // A copy may take a move of its own beside the launch.
    const bytes = count * shared.uniforms.step;
    shared.uniforms.reserve(bytes);
    this.sizes = new Int32Array(bytes / 4);
  }

  add(command: Command): void {
    switch (command.kind) {
      case 'launch':
        this.launch(command);
        return;
      case 'copy':
        this.copy(command.from, command.to);
        return;
      case 'fill':
        this.fill(command.to, command.byte);
        return;
      default:
        throw refused(`command ${command.kind}`, 'the WebGPU device has no such command');
    }
  }

  /** Hands everything to the queue. */
  submit(): void {
    const { gpu, uniforms } = this.shared;
    this.endPass();
    if (this.used > 0) {
      gpu.queue.writeBuffer(uniforms.buffer, 0, this.sizes, 0, (this.used * uniforms.step) / 4);
    }
    gpu.queue.submit([this.encoder.finish()]);
    for (const buffer of this.temporaries) buffer.destroy();
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = undefined;
  }

  private launch({ module, entry: name, buffers, sizes, grid }: Launch): void {
    if (!(module instanceof GpuModule)) throw invalid('a module of another device');
    const kernel = module.kernels?.get(name);
    if (kernel === undefined) throw invalid(`no kernel ${name} is loaded`);
    const { entry } = kernel;
    if (buffers.length !== entry.buffers.length || sizes.length !== entry.sizes.length) {
      throw invalid(`${buffers.length} buffers and ${sizes.length} sizes for ${name}`);
    }
    const given = buffers.map((b, i) => this.bound(b, entry.buffers[i]?.write ?? true));
    const tasks = grid.reduce((product, extent) => product * extent, 1);
    if (tasks <= 0) return;
    this.dispatch(kernel, this.apart(given, name), sizes, tasks);
  }

  private bound({ memory, offset, bytes }: MemoryArgument, write: boolean): Bound {
    const buffer = this.shared.pool.locate(memory, offset, bytes);
    const size = Math.min(Math.max(words(bytes), leastBinding), buffer.size - offset);
    return { buffer, offset, size, write };
  }

  /** Nothing is bound both to be read and to be written: what is read is copied first. */
  private apart(given: readonly Bound[], name: string): readonly Bound[] {
    const written = given.filter((bound) => bound.write);
    for (const [i, a] of written.entries()) {
      if (written.slice(i + 1).some((b) => overlap(a, b))) {
        throw refused(`memory that ${name} writes twice`, 'WebGPU binds it to one place only');
      }
    }
    const { offsetAlignment } = this;
    return given.map((bound) => {
      const isMixed = !bound.write && written.some(({ buffer }) => buffer === bound.buffer);
      if (!isMixed && bound.offset % offsetAlignment === 0) return bound;
      if (bound.write) throw invalid(`an offset of ${bound.offset} bytes`);
      return this.copied(bound);
    });
  }

  private get offsetAlignment(): number {
    return this.shared.gpu.limits.minStorageBufferOffsetAlignment;
  }

  /** The same content in a buffer of its own. */
  private copied({ buffer, offset, size }: Bound): Bound {
    const copy = this.temporary(size);
    this.endPass();
    this.encoder.copyBufferToBuffer(buffer, offset, copy, 0, size);
    return { buffer: copy, offset: 0, size, write: false };
  }

  private temporary(size: number): GPUBuffer {
    const all = usage.storage | usage.copySource | usage.copyTarget;
    const buffer = this.shared.gpu.createBuffer({ size, usage: all });
    this.temporaries.push(buffer);
    this.temporaryBytes += size;
    return buffer;
  }

  private dispatch(
    kernel: Kernel,
    bound: readonly Bound[],
    sizes: readonly number[],
    tasks: number,
  ): void {
    const { gpu, uniforms } = this.shared;
    const offset = this.used * uniforms.step;
    if (sizes.length > 0) {
      this.sizes.set(sizes, offset / 4);
      this.used++;
    }
    const most = gpu.limits.maxComputeWorkgroupsPerDimension;
    const groups = Math.ceil(tasks / kernel.tasksPerGroup);
    const x = Math.min(groups, most);
    const y = Math.min(Math.ceil(groups / x), most);
    const z = Math.ceil(groups / (x * y));
    if (z > most) {
      throw failure('OC-REFUSED-02', { resource: 'the grid', need: groups, have: most ** 3 });
    }
    this.pass ??= this.encoder.beginComputePass();
    this.pass.setPipeline(kernel.pipeline);
    const group = this.bindGroup(kernel, bound);
    this.pass.setBindGroup(0, group, sizes.length > 0 ? [offset] : []);
    this.pass.dispatchWorkgroups(x, y, z);
  }

  private bindGroup(kernel: Kernel, bound: readonly Bound[]): GPUBindGroup {
    const { gpu, uniforms } = this.shared;
    const { entry, layout, bindGroups } = kernel;
    const all = [...bound];
    if (entry.sizes.length > 0) {
      const size = Math.ceil(entry.sizes.length / 4) * 16;
      all.push({ buffer: uniforms.buffer, offset: 0, size, write: false });
    }
    const keyOf = ({ buffer, offset, size }: Bound): string =>
      `${numberOf(buffer)}+${offset}/${size}`;
    const key = all.map(keyOf).join(',');
    const known = bindGroups.get(key);
    if (known !== undefined) return known;
    const entries = all.map(({ buffer, offset, size }, binding) => {
      return { binding, resource: { buffer, offset, size } };
    });
    const made = gpu.createBindGroup({ layout, entries, label: entry.name });
    if (bindGroups.size >= mostBindGroups) bindGroups.clear();
    bindGroups.set(key, made);
    return made;
  }

  private copy(from: MemoryArgument, to: MemoryArgument): void {
    const { bytes } = to;
    const { pool } = this.shared;
    const source = pool.locate(from.memory, from.offset, bytes);
    const target = pool.locate(to.memory, to.offset, bytes);
    if (bytes === 0 || (source === target && from.offset === to.offset)) return;
    const start = from.offset - (from.offset % 4);
    const size = words(from.offset + bytes) - start;
    const isApart = source !== target;
    // The end of a memory is followed by padding, which any word may cover.
    const isWhole = bytes % 4 === 0 || to.offset + bytes === to.memory.bytes;
    if (isApart && from.offset % 4 === 0 && to.offset % 4 === 0 && isWhole) {
      this.endPass();
      this.encoder.copyBufferToBuffer(source, from.offset, target, to.offset, words(bytes));
      return;
    }
    const read = isApart ? source : this.temporary(size);
    if (!isApart) {
      this.endPass();
      this.encoder.copyBufferToBuffer(source, start, read, 0, size);
    }
    this.moveBytes(read, from.offset - (isApart ? 0 : start), target, to, copyMark);
  }

  private fill(to: MemoryArgument, byte: number): void {
    const { bytes, offset } = to;
    const target = this.shared.pool.locate(to.memory, offset, bytes);
    if (bytes === 0) return;
    const isWhole = bytes % 4 === 0 || offset + bytes === to.memory.bytes;
    if (byte === 0 && offset % 4 === 0 && isWhole) {
      this.endPass();
      this.encoder.clearBuffer(target, offset, words(bytes));
      return;
    }
    this.moveBytes(this.temporary(leastBinding), 0, target, to, byte & 255);
  }

  private moveBytes(
    from: GPUBuffer,
    source: number,
    to: GPUBuffer,
    { offset, bytes }: MemoryArgument,
    fill: number,
  ): void {
    const whole = (buffer: GPUBuffer, write: boolean): Bound => {
      return { buffer, offset: 0, size: buffer.size, write };
    };
    const bound = [whole(from, false), whole(to, true)];
    const tasks = Math.ceil((bytes + (offset % 4)) / 4);
    this.dispatch(this.shared.move, bound, [source, offset, bytes, fill], tasks);
  }
}

const overlap = (a: Bound, b: Bound): boolean =>
  a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
