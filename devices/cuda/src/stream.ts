/**
 * The stream of a device: what is in it, what was found wrong with it, and what may be given back
 * to the driver once it is idle.
 */
import {
  failure,
  internal,
  isFailure,
  type Lost,
  type OpenClawError,
} from '@open-claw/core/device';
import type { Context } from './context.js';
import { callFailure, retryOf } from './failures.js';
import { GpuMemory, type GpuModule, GpuRecording } from './handles.js';
import type { Part } from './signatures.table.js';
import { isIdle, type Watch } from './wait.js';

type Handle = GpuMemory | GpuModule | GpuRecording;

/** Bytes of one copy: a driver may hold the caller for as long as it takes. */
const pieceBytes = 4 * 2 ** 20;
/** Longest time in milliseconds that calls follow each other without a pause. */
export const sliceMilliseconds = 3;

export const pause = (): Promise<void> => new Promise((resume) => setImmediate(resume));

export class Stream {
  readonly context: Context;
  readonly lost: Promise<Lost>;
  readonly live = new Set<Handle>();
  /** The error of every call once the card is lost. */
  gone: OpenClawError | undefined;
  /** A failure that no read or sync has reported yet. */
  failed: OpenClawError | undefined;
  /** Numbers of the submitted commands that may still run. */
  inFlight: number[] = [];
  /** Whether anything at all may still be in the stream. */
  mayRun = false;
  private pending = 0;
  private tail: Promise<void> = Promise.resolve();
  private settleLost: (lost: Lost) => void = () => {};
  /** Freed by the caller, perhaps still used by commands in the stream. */
  private leaving: Handle[] = [];
  /** Arrays that copies in the stream read or write. */
  private held: unknown[] = [];

  constructor(context: Context) {
    this.context = context;
    this.lost = new Promise((resolve) => {
      this.settleLost = resolve;
    });
  }

  get isBusy(): boolean {
    return this.pending > 0;
  }

  get mayLeave(): boolean {
    return this.leaving.length > 0;
  }

  get isFine(): boolean {
    return this.failed === undefined && this.gone === undefined;
  }

  /** Runs at once where nothing waits and `now` is given, else after all that waits. */
  enqueue(now: (() => void) | undefined, later: () => Promise<void>): void {
    if (this.pending === 0 && now !== undefined) {
      now();
      return;
    }
    this.pending++;
    const work = async (): Promise<void> => {
      try {
        await later();
      } catch (error) {
        this.failed ??= isFailure(error) ? error : internal(String(error));
      } finally {
        this.pending--;
      }
    };
    this.tail = this.tail.then(work);
  }

  /** Resolves after all that waits now. */
  async turn(): Promise<void> {
    await this.tail;
  }

  /** Throws what went wrong since the last report. */
  report(): void {
    const error = this.failed;
    this.failed = undefined;
    if (error !== undefined) throw error;
  }

  /** Waits until the stream is idle; a failure found there is kept for the next read. */
  async idle(watch?: Watch): Promise<void> {
    if (this.gone !== undefined) return;
    const { code, stopped, stuck } = await isIdle(this.context, watch);
    if (stopped !== undefined) this.failed ??= stopped;
    if (stuck) {
      this.lose(`command ${this.running()} does not end`, 'other-device');
      return;
    }
    if (code !== 0) {
      const part = this.context.has('streamQuery') ? 'streamQuery' : 'streamWait';
      this.fail(this.failureOf(part, code, this.running()), code);
      if (this.gone !== undefined) return;
    }
    this.inFlight = [];
    this.held = [];
    this.mayRun = false;
    const { leaving } = this;
    this.leaving = [];
    for (const handle of leaving) this.release(handle);
  }

  failureOf(part: Part, code: number, command?: number | string): OpenClawError {
    const { row, calls } = this.context.card;
    return callFailure(row, calls, part, code, command);
  }

  /** Keeps a failure for the next read or sync; the card is gone where the code says so. */
  fail(error: OpenClawError, code: number): void {
    this.failed ??= this.judge(error, code);
  }

  judge(error: OpenClawError, code: number): OpenClawError {
    const meaning = this.context.meaning(code);
    if (meaning === 'broken' || meaning === 'lost') {
      this.lose(String(error.details['reason']), retryOf[meaning]);
    }
    return error;
  }

  /** Throws where a call outside of the queue has failed. */
  must(part: Part, code: number): void {
    if (code !== 0) throw this.judge(this.failureOf(part, code), code);
  }

  /** Takes a handle back, at once or when the stream is idle. */
  leave(handle: Handle): void {
    if (!this.live.delete(handle)) return;
    handle.freed = true;
    if (!this.mayRun) this.release(handle);
    else this.leaving.push(handle);
  }

  /** Gives all handles and the context back. */
  close(): void {
    for (const handle of [...this.live, ...this.leaving]) this.release(handle);
    this.leaving = [];
    this.context.close(this.gone !== undefined);
  }

  copyIn(to: bigint, from: Uint8Array): void {
    if (this.gone !== undefined) return;
    const { context } = this;
    const bytes = from.byteLength;
    this.hold(from);
    const part = context.has('copyToDevice') ? 'copyToDevice' : 'copy';
    const kind = part === 'copy' ? [1] : [];
    const code = context.raw(part, to, from, bytes, ...kind, context.stream);
    if (code !== 0) this.fail(this.failureOf(part, code), code);
  }

  copyOut(into: Uint8Array, from: bigint): void {
    if (this.gone !== undefined) return;
    const { context } = this;
    const bytes = into.byteLength;
    this.hold(into);
    const part = context.has('copyToHost') ? 'copyToHost' : 'copy';
    const kind = part === 'copy' ? [2] : [];
    const code = context.raw(part, into, from, bytes, ...kind, context.stream);
    if (code !== 0) this.fail(this.failureOf(part, code), code);
  }

  private hold(array: Uint8Array): void {
    this.held.push(array);
    this.mayRun = true;
  }

  /** Calls `copy` for piece after piece, with pauses. */
  async pieces(bytes: Uint8Array, copy: (piece: Uint8Array, at: number) => void): Promise<void> {
    let started = performance.now();
    for (let at = 0; at < bytes.byteLength && this.isFine; at += pieceBytes) {
      copy(bytes.subarray(at, Math.min(at + pieceBytes, bytes.byteLength)), at);
      if (performance.now() - started < sliceMilliseconds) continue;
      await pause();
      started = performance.now();
    }
  }

  /** Numbers of the commands of which one failed: the driver does not say which. */
  private running(): string | number {
    if (this.inFlight.length === 0) return 'copy';
    const [first, last] = [Math.min(...this.inFlight), Math.max(...this.inFlight)];
    return first === last ? first : `${first}–${last}`;
  }

  private lose(reason: string, retry: Lost['retry']): void {
    if (this.gone !== undefined) return;
    this.gone = failure('OC-DEVICE-09', { reason }, { kind: 'transient', retry });
    this.inFlight = [];
    this.settleLost({ code: 'OC-DEVICE-09', reason, retry });
  }

  /** Gives a handle back to the driver; a lost card has taken all with it. */
  private release(handle: Handle): void {
    this.live.delete(handle);
    const given = handle instanceof GpuMemory ? handle.address : handle.handle;
    if (handle instanceof GpuMemory) handle.address = 0n;
    else handle.handle = 0n;
    handle.freed = true;
    if (this.gone !== undefined || given === 0n) return;
    const part =
      handle instanceof GpuMemory
        ? 'release'
        : handle instanceof GpuRecording
          ? 'graphExecutableDestroy'
          : 'moduleUnload';
    if (!this.context.has(part)) return;
    const code = this.context.raw(part, given);
    if (code !== 0) this.fail(this.failureOf(part, code), code);
  }
}
