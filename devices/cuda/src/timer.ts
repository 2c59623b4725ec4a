/** Times of commands by events of the stream: one before the first, one after each. */
import { outFloat, outHandle } from './calls.js';
import type { Context } from './context.js';

export class Timer {
  private readonly context: Context;
  /** Made once and used again. */
  readonly events: bigint[] = [];
  private used = 0;

  constructor(context: Context) {
    this.context = context;
  }

  /** Forgets the last times; the next commands are counted from here. */
  start(): void {
    this.used = 0;
    this.mark();
  }

  /** Puts an event into the stream. */
  mark(): void {
    const { context } = this;
    if (!context.has('eventRecord') || !context.has('eventElapsed')) return;
    if (this.used === this.events.length) {
      const made = outHandle();
      if (context.has('eventCreate')) context.run('eventCreate', made, 0);
      else context.run('eventCreatePlain', made);
      this.events.push(made[0] as bigint);
    }
    context.run('eventRecord', this.events[this.used] as bigint, context.stream);
    this.used++;
  }

  /** Nanoseconds between the events of the last submit; the stream must be idle. */
  read(): readonly number[] {
    const milliseconds = outFloat();
    return this.events.slice(1, this.used).map((event, i) => {
      this.context.run('eventElapsed', milliseconds, this.events[i] as bigint, event);
      return (milliseconds[0] as number) * 1e6;
    });
  }
}

export function releaseEvents(context: Context, timer: Timer): void {
  if (!context.has('eventDestroy')) return;
  for (const event of timer.events.splice(0)) context.raw('eventDestroy', event);
}
