/**
 * One in-order queue of a driver, with what waits in it: every command has an event, so that a
 * failure has the command's name. Waiting is done on other threads.
 */
import type { Driver, Handle } from './driver.js';

/** What was handed to the driver and may still run. */
export interface Entry<T> {
  readonly what: T;
  readonly event: Handle;
  /** Host memory that the driver reads or writes meanwhile. */
  readonly held: unknown;
}

/** The first command that failed, and all from it on. */
export interface Broken<T> {
  readonly code: number;
  readonly from: readonly T[];
}

/** A call that puts a command into the queue: it fills in the event and gives an error code. */
export type Enqueue = (event: BigUint64Array) => number;

export class Stream<T> {
  readonly driver: Driver;
  readonly queue: Handle;
  private entries: Entry<T>[] = [];
  /** Events of the commands whose times may be asked for. */
  private kept = new Set<Handle>();

  constructor(driver: Driver, queue: Handle) {
    this.driver = driver;
    this.queue = queue;
  }

  get length(): number {
    return this.entries.length;
  }

  /** Gives 0, or the driver's error code. */
  put(what: T, enqueue: Enqueue, held?: unknown): number {
    const event = new BigUint64Array(1);
    return this.add(what, event, enqueue(event), held);
  }

  /** As put, for calls that hold the thread long. */
  async putAside(what: T, enqueue: (event: BigUint64Array) => Promise<number>): Promise<number> {
    const event = new BigUint64Array(1);
    return this.add(what, event, await enqueue(event), undefined);
  }

  private add(what: T, event: BigUint64Array, code: number, held: unknown): number {
    if (code === 0) this.entries.push({ what, event: event[0] as bigint, held });
    return code;
  }

  /** Lets the driver begin. */
  flush(): void {
    this.driver.flush(this.queue);
  }

  /** Waits for all that was put so far. */
  async settle(): Promise<Broken<T> | undefined> {
    const { entries, driver } = this;
    const last = entries.at(-1);
    if (last === undefined) return undefined;
    this.entries = [];
    driver.flush(this.queue);
    const done = driver.eventStatus(last.event) === 0 ? 0 : await driver.wait([last.event]);
    const at = entries.findIndex(({ event }) => driver.eventStatus(event) !== 0);
    const first = entries[at];
    const status = first === undefined ? 0 : driver.eventStatus(first.event);
    for (const { event } of entries) {
      if (!this.kept.has(event)) driver.release('event', event);
    }
    if (first === undefined && done === 0) return undefined;
    const from = entries.slice(Math.max(at, 0)).map(({ what }) => what);
    return { code: status < 0 ? status : done, from };
  }

  /** Keeps the events of what is put from now on, until the next call. */
  keepTimes(): void {
    const waiting = new Set(this.entries.map(({ event }) => event));
    for (const event of this.kept) {
      if (!waiting.has(event)) this.driver.release('event', event);
    }
    this.kept = new Set();
  }

  keep(): void {
    const last = this.entries.at(-1);
    if (last !== undefined) this.kept.add(last.event);
  }

  /** Nanoseconds of the commands kept; all are done. */
  times(): readonly number[] {
    return [...this.kept].map((event) => this.driver.eventTime(event));
  }

  async close(): Promise<void> {
    await this.driver.finish(this.queue);
    const events = new Set([...this.kept, ...this.entries.map(({ event }) => event)]);
    for (const event of events) this.driver.release('event', event);
    this.entries = [];
    this.kept = new Set();
    this.driver.release('queue', this.queue);
  }
}
