/**
 * Lists of commands that come again and again, recorded by a device that can: a static program is
 * then one call of its driver. Same means the same kernels, sizes and memory.
 */
import type { Command, Device, MemoryArgument, Recording } from './contract.js';

/** A list that was submitted before. */
interface Known {
  readonly commands: readonly Command[];
  isAsked: boolean;
  /** undefined until it is recorded. */
  recording: Recording | undefined;
}

/** Shorter lists are as cheap one by one. */
const fewest = 4;
/** Lists kept; a program with more of them repeats none often. */
const most = 16;

export class Replays {
  private readonly device: Device;
  private readonly known = new Map<string, Known>();
  private isOver = false;

  constructor(device: Device) {
    this.device = device;
    // A driver that lacks the calls says so at the first try.
    if (device.record === undefined) this.isOver = true;
  }

  /** The list itself, or a replay of it. A list that comes for the second time is recorded. */
  of(commands: readonly Command[]): readonly Command[] {
    if (this.isOver || commands.length < fewest) return commands;
    const key = keyOf(commands);
    const known = this.known.get(key);
    if (known === undefined || !isSame(known.commands, commands)) {
      this.forget(key);
      if (this.known.size >= most) this.forget([...this.known.keys()][0] as string);
      this.known.set(key, { commands, isAsked: false, recording: undefined });
      return commands;
    }
    if (known.recording !== undefined) return [{ kind: 'replay', recording: known.recording }];
    if (!known.isAsked) void this.record(key, known);
    return commands;
  }

  release(): void {
    this.isOver = true;
    for (const key of [...this.known.keys()]) this.forget(key);
  }

  private async record(key: string, known: Known): Promise<void> {
    known.isAsked = true;
    try {
      const recording = await this.device.record?.(known.commands);
      if (recording === undefined) return;
      if (this.known.get(key) === known) known.recording = recording;
      else this.device.free(recording);
    } catch {
      // What is wrong with the commands shows where they run; what is not recorded runs as before.
      this.isOver = true;
    }
  }

  private forget(key: string): void {
    const recording = this.known.get(key)?.recording;
    this.known.delete(key);
    if (recording !== undefined) this.device.free(recording);
  }
}

/** Tells lists apart that begin differently or have other lengths. */
function keyOf(commands: readonly Command[]): string {
  const names = commands.slice(0, fewest).map((c) => (c.kind === 'launch' ? c.entry : c.kind));
  return `${commands.length} ${names.join(' ')}`;
}

const isSame = (a: readonly Command[], b: readonly Command[]): boolean =>
  a.length === b.length && a.every((command, i) => isSameCommand(command, b[i] as Command));

function isSameCommand(a: Command, b: Command): boolean {
  if (a === b) return true;
  if (a.kind === 'copy' && b.kind === 'copy') {
    return isSameArgument(a.from, b.from) && isSameArgument(a.to, b.to);
  }
  // Launches are made anew only where a size or a place has changed.
  return a.kind === 'fill' && b.kind === 'fill' && a.byte === b.byte && isSameArgument(a.to, b.to);
}

const isSameArgument = (a: MemoryArgument, b: MemoryArgument): boolean =>
  a.memory === b.memory && a.offset === b.offset && a.bytes === b.bytes;
