/** A card's context and stream: what must be current on the calling thread before each call. */
import { type Argument, type Calls, outHandle } from './calls.js';
import { callFailure, type Meaning, meaningOf } from './failures.js';
import type { GpuRow } from './row.js';
import type { DriverPart } from './signatures.table.js';

export interface Card {
  readonly row: GpuRow;
  readonly calls: Calls;
  readonly ordinal: number;
  /** What the driver calls the card; the ordinal where it does not say. */
  readonly device: number;
}

const nonBlocking = 1;

/** Which context is current on the main thread, per library. */
const current = new WeakMap<Calls, Context>();

export class Context {
  readonly card: Card;
  private readonly handle: bigint;
  readonly stream: bigint;

  /** Makes a context and a stream of its own. Throws OC-DEVICE-02 with the driver's text. */
  constructor(card: Card) {
    this.card = card;
    this.handle = this.make();
    this.stream = this.makeStream();
  }

  /** The code of a call in this context. */
  raw(part: DriverPart, ...values: readonly Argument[]): number {
    const { calls } = this.card;
    if (current.get(calls) !== this) {
      const code = this.enter();
      if (code !== 0) return code;
      current.set(calls, this);
    }
    return calls.call(part, ...values);
  }

  /** As raw; throws where the call fails. */
  run(part: DriverPart, ...values: readonly Argument[]): void {
    const code = this.raw(part, ...values);
    if (code !== 0) throw callFailure(this.card.row, this.card.calls, part, code);
  }

  meaning(code: number): Meaning {
    return meaningOf(this.card.row, this.card.calls, code);
  }

  has(part: DriverPart): boolean {
    return this.card.calls.has(part);
  }

  /** Ends stream and context; what the driver says to it no longer matters. */
  close(wasLost: boolean): void {
    const { calls, device } = this.card;
    this.enter();
    if (this.has('streamDestroy')) calls.call('streamDestroy', this.stream);
    if (wasLost && this.has('deviceReset')) calls.call('deviceReset');
    current.delete(calls);
    if (this.has('contextRetain')) {
      if (this.has('contextSet')) calls.call('contextSet', 0n);
      if (this.has('contextRelease')) calls.call('contextRelease', device);
    } else if (this.has('contextDestroy')) calls.call('contextDestroy', this.handle);
  }

  private make(): bigint {
    const { calls, device, ordinal, row } = this.card;
    const made = outHandle();
    const check = (part: DriverPart, code: number): void => {
      if (code !== 0) throw callFailure(row, calls, part, code);
    };
    if (this.has('contextRetain'))
      check('contextRetain', calls.call('contextRetain', made, device));
    else if (this.has('deviceSet')) check('deviceSet', calls.call('deviceSet', ordinal));
    else check('contextCreate', calls.call('contextCreate', made, 0, device));
    return made[0] as bigint;
  }

  private makeStream(): bigint {
    const made = outHandle();
    try {
      if (this.has('streamCreate')) this.run('streamCreate', made, nonBlocking);
      else this.run('streamCreatePlain', made);
    } catch (error) {
      if (this.has('contextRelease')) this.card.calls.call('contextRelease', this.card.device);
      throw error;
    }
    return made[0] as bigint;
  }

  private enter(): number {
    const { calls, ordinal } = this.card;
    if (this.has('contextSet')) return calls.call('contextSet', this.handle);
    return this.has('deviceSet') ? calls.call('deviceSet', ordinal) : 0;
  }
}
