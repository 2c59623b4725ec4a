/**
 * Which ranges of a device's memories hold nothing valid after a command failed: for devices, so
 * that no path reads unwritten or partly written memory. Costs nothing while nothing has failed.
 */
import type { Command, Memory, MemoryArgument } from './contract.js';

interface Invalid {
  readonly start: number;
  readonly end: number;
  readonly error: Error;
}

type Range = Pick<MemoryArgument, 'memory' | 'offset' | 'bytes'>;

export class Validity {
  private readonly invalid = new Map<Memory, readonly Invalid[]>();

  get isWhole(): boolean {
    return this.invalid.size === 0;
  }

  /** The error that made a part of the range invalid. */
  problemOf({ memory, offset, bytes }: Range): Error | undefined {
    const ranges = this.invalid.get(memory) ?? [];
    return ranges.find(({ start, end }) => start < offset + bytes && offset < end)?.error;
  }

  /** Throws that error where a command would read something invalid. */
  check(command: Command): void {
    if (this.isWhole) return;
    for (const range of readBy(command)) {
      const problem = this.problemOf(range);
      if (problem !== undefined) throw problem;
    }
  }

  /** A command has run: what it wrote is valid again. */
  written(command: Command): void {
    if (this.isWhole) return;
    for (const range of writtenBy(command)) this.restore(range);
  }

  /** A command failed or was skipped: what it would have written is invalid. */
  spoiled(command: Command, error: Error): void {
    for (const range of writtenBy(command)) {
      const { memory, offset, bytes } = range;
      this.restore(range);
      const entry = { start: offset, end: offset + bytes, error };
      this.invalid.set(memory, [...(this.invalid.get(memory) ?? []), entry]);
    }
  }

  /** The range was written. */
  restore({ memory, offset, bytes }: Range): void {
    const ranges = this.invalid.get(memory);
    if (ranges === undefined) return;
    const end = offset + bytes;
    const left = ranges.flatMap((range) => [
      ...(range.start < offset ? [{ ...range, end: Math.min(range.end, offset) }] : []),
      ...(range.end > end ? [{ ...range, start: Math.max(range.start, end) }] : []),
    ]);
    if (left.length > 0) this.invalid.set(memory, left);
    else this.invalid.delete(memory);
  }

  /** The memory was freed. */
  forget(memory: Memory): void {
    this.invalid.delete(memory);
  }
}

/** What a command writes; of a replay its recorder knows. */
export function writtenBy(command: Command): readonly MemoryArgument[] {
  switch (command.kind) {
    case 'launch':
    case 'operator':
      return command.buffers.filter(({ access }) => access !== 'read');
    case 'copy':
    case 'fill':
      return [command.to];
    default:
      return [];
  }
}

/** What a command reads. */
export function readBy(command: Command): readonly MemoryArgument[] {
  switch (command.kind) {
    case 'launch':
    case 'operator':
      return command.buffers.filter(({ access }) => access !== 'write');
    case 'copy':
      return [{ ...command.from, bytes: command.to.bytes }];
    default:
      return [];
  }
}
