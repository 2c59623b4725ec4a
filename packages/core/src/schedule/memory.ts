/**
 * The memory plan: a place for every value while it is needed. Takes lifetimes and bytes as
 * numbers; gives slots (device allocations) and offsets, and the total before any allocation.
 *
 * Greedy by size: the largest value first, each at the lowest offset that no value alive at the
 * same time covers (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
 * Inference", 2020).
 */
import { failure } from '../base/errors.js';

export interface MemoryRequest {
  readonly id: number;
  readonly bytes: number;
  /** First and last step that touch the value. */
  readonly first: number;
  readonly last: number;
  /** Value whose memory this one takes over; ignored unless that one is dead by then. */
  readonly reuses?: number;
}

export interface MemoryFacts {
  readonly offsetAlignment: number;
  readonly maxBufferBytes: number;
  /** Whether one kernel may bind several values of one allocation. */
  readonly sharedBuffers: boolean;
}

export interface Placement {
  readonly slot: number;
  readonly offset: number;
}

export interface MemoryPlan {
  /** Bytes of each allocation. */
  readonly slots: readonly number[];
  readonly placement: ReadonlyMap<number, Placement>;
  readonly totalBytes: number;
}

/** Throws OC-MEMORY-01 where a value or the total is over a limit. */
export function planMemory(
  requests: readonly MemoryRequest[],
  facts: MemoryFacts,
  limit: number,
): MemoryPlan {
  const merged = mergeReuse(requests).map((request) => ({
    ...request,
    bytes: align(Math.max(request.bytes, 1), facts.offsetAlignment),
  }));
  const largest = merged.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  if (largest > facts.maxBufferBytes) {
    throw tooMuch(largest, Math.min(limit, facts.maxBufferBytes), largest);
  }
  const bySize = merged.toSorted((a, b) => b.bytes - a.bytes || a.first - b.first);
  const places = facts.sharedBuffers ? packOffsets(bySize, facts) : packSlots(bySize);
  const totalBytes = places.slots.reduce((total, bytes) => total + bytes, 0);
  if (totalBytes > limit) throw tooMuch(totalBytes, limit, largest);
  const placement = new Map<number, Placement>();
  for (const request of merged) {
    for (const id of request.ids) placement.set(id, places.at.get(request) as Placement);
  }
  return { slots: places.slots, placement, totalBytes };
}

const tooMuch = (need: number, limit: number, largest: number): Error =>
  failure('OC-MEMORY-01', { need, limit, largest }, { kind: 'refused', retry: 'smaller' });

const align = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

/** One request, or several that take over each other's memory. */
interface Block {
  readonly ids: readonly number[];
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

function mergeReuse(requests: readonly MemoryRequest[]): Block[] {
  const blocks = new Map<number, Block>();
  const alive = new Map<number, MemoryRequest>(requests.map((request) => [request.id, request]));
  const taken = new Set<number>();
  for (const request of requests.toSorted((a, b) => a.first - b.first)) {
    const { id, bytes, first, last, reuses } = request;
    const old = reuses === undefined ? undefined : alive.get(reuses);
    const block = old === undefined ? undefined : blocks.get(old.id);
    const isDead = old !== undefined && old.last <= first && !taken.has(old.id);
    if (old === undefined || block === undefined || !isDead || old.bytes < bytes) {
      blocks.set(id, { ids: [id], bytes, first, last });
      continue;
    }
    taken.add(old.id);
    const joined = { ...block, ids: [...block.ids, id], last: Math.max(block.last, last) };
    for (const member of joined.ids) blocks.set(member, joined);
  }
  return [...new Set(blocks.values())];
}

interface Packed {
  readonly slots: readonly number[];
  readonly at: ReadonlyMap<Block, Placement>;
}

/** Many values per allocation, at offsets. */
function packOffsets(blocks: readonly Block[], facts: MemoryFacts): Packed {
  const at = new Map<Block, Placement>();
  const slots: number[] = [];
  const placed: Timeline[] = [];
  for (const block of blocks) {
    for (let slot = 0; ; slot++) {
      const timeline = placed[slot] ?? new Timeline();
      placed[slot] = timeline;
      const offset = lowestOffset(block, timeline, at);
      if (offset + block.bytes > facts.maxBufferBytes) continue;
      at.set(block, { slot, offset });
      timeline.add(block);
      slots[slot] = Math.max(slots[slot] ?? 0, offset + block.bytes);
      break;
    }
  }
  return { slots, at };
}

function lowestOffset(block: Block, timeline: Timeline, at: ReadonlyMap<Block, Placement>): number {
  const covered = [...timeline.overlapping(block)]
    .map((other) => ({ start: (at.get(other) as Placement).offset, bytes: other.bytes }))
    .sort((a, b) => a.start - b.start);
  let offset = 0;
  for (const { start, bytes } of covered) {
    if (offset + block.bytes <= start) break;
    offset = Math.max(offset, start + bytes);
  }
  return offset;
}

/** One value at a time per allocation. Blocks come largest first, so every slot is large enough. */
function packSlots(blocks: readonly Block[]): Packed {
  const at = new Map<Block, Placement>();
  const slots: number[] = [];
  const placed: Timeline[] = [];
  for (const block of blocks) {
    let slot = placed.findIndex((timeline) => timeline.overlapping(block).size === 0);
    if (slot < 0) {
      slot = placed.push(new Timeline()) - 1;
      slots.push(block.bytes);
    }
    placed[slot]?.add(block);
    at.set(block, { slot, offset: 0 });
  }
  return { slots, at };
}

/** Lifetimes longer than this are kept in one list instead of at each of their steps. */
const longLife = 64;

/** Blocks by the steps they live in, so that finding neighbours does not look at all of them. */
class Timeline {
  private readonly short = new Map<number, Block[]>();
  private readonly long: Block[] = [];
  private readonly all: Block[] = [];

  add(block: Block): void {
    this.all.push(block);
    if (block.last - block.first > longLife) {
      this.long.push(block);
      return;
    }
    for (let step = block.first; step <= block.last; step++) {
      const here = this.short.get(step);
      if (here === undefined) this.short.set(step, [block]);
      else here.push(block);
    }
  }

  overlapping(block: Block): ReadonlySet<Block> {
    const isLong = block.last - block.first > longLife;
    const candidates = isLong ? this.all : this.long;
    const found = new Set(
      candidates.filter((other) => other.first <= block.last && other.last >= block.first),
    );
    if (isLong) return found;
    for (let step = block.first; step <= block.last; step++) {
      for (const other of this.short.get(step) ?? []) found.add(other);
    }
    return found;
  }
}
