/** Device memory of one procedure: a plan per segment, kept between runs and grown when needed. */
import type { Buffer } from '../codegen/program.js';
import { type MemoryFacts, type MemoryPlan, planMemory } from '../schedule/memory.js';
import type { Memory, MemoryArgument } from './contract.js';
import type { Session } from './session.js';
import { type Environment, type Evaluator, evaluatorOf } from './sizes.js';

interface Sized {
  readonly buffer: Buffer;
  readonly bytes: Evaluator;
}

/** Stands for the bytes of a buffer that has a place already. */
const elsewhere = -1;

/** Plans kept for sizes seen before. */
const mostPlans = 8;

export class Arena {
  private readonly session: Session;
  private readonly buffers: readonly Sized[];
  private readonly plans = new Map<string, MemoryPlan>();
  private slots: Memory[] = [];
  /** Changes when memory that was given out is freed. */
  generation = 0;

  constructor(session: Session, buffers: readonly Buffer[]) {
    this.session = session;
    this.buffers = buffers.map((buffer) => ({ buffer, bytes: evaluatorOf(buffer.bytes) }));
  }

  /**
   * Places the buffers that have no place yet into `into`, for these sizes. The total is known
   * before it allocates.
   */
  async place(environment: Environment, into: Map<number, MemoryArgument>): Promise<void> {
    if (this.buffers.length === 0) return;
    const bytes = this.buffers.map((sized) =>
      into.has(sized.buffer.id) ? elsewhere : sized.bytes(environment),
    );
    const key = bytes.join(',');
    const plan = this.plans.get(key) ?? this.makePlan(key, bytes);
    await this.grow(plan);
    this.buffers.forEach(({ buffer }, i) => {
      if (bytes[i] === elsewhere) return;
      const at = plan.placement.get(buffer.id) as { slot: number; offset: number };
      const memory = this.slots[at.slot] as Memory;
      const argument = { memory, offset: at.offset, bytes: bytes[i] as number };
      into.set(buffer.id, { ...argument, access: 'read' });
    });
  }

  private makePlan(key: string, bytes: readonly number[]): MemoryPlan {
    const { session } = this;
    const own = this.slots.reduce((total, memory) => total + memory.bytes, 0);
    const facts: MemoryFacts = session.opened.target;
    const requests = this.buffers.flatMap(({ buffer: { id, first, last } }, i) =>
      bytes[i] === elsewhere ? [] : [{ id, bytes: bytes[i] as number, first, last }],
    );
    const plan = planMemory(requests, facts, session.limit - session.usedBytes + own);
    if (this.plans.size >= mostPlans) this.plans.clear();
    this.plans.set(key, plan);
    return plan;
  }

  private async grow(plan: MemoryPlan): Promise<void> {
    for (const [slot, bytes] of plan.slots.entries()) {
      const old = this.slots[slot];
      if (old !== undefined && old.bytes >= bytes) continue;
      if (old !== undefined) {
        for (const gone of this.slots.splice(slot)) this.session.free(gone);
        this.generation++;
      }
      this.slots[slot] = await this.session.allocate(bytes);
    }
  }

  release(): void {
    this.generation++;
    for (const memory of this.slots) this.session.free(memory);
    this.slots = [];
    this.plans.clear();
  }
}
