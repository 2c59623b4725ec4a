/** What commands cost, read and write. */
import type { Command, MemoryArgument } from '@open-claw/core/device/contract';

export type Launch = Extract<Command, { kind: 'launch' }>;

/** A guess for copies: ten bytes in a nanosecond. */
const bytesPerMicrosecond = 10_000;

/** Microseconds. */
export function estimate(command: Command): number {
  if (command.kind === 'launch') return command.microseconds;
  return command.kind === 'copy' || command.kind === 'fill'
    ? command.to.bytes / bytesPerMicrosecond
    : 0;
}

const bound = (
  command: Pick<Launch, 'buffers'>,
  wanted: (access: string) => boolean,
): readonly MemoryArgument[] => command.buffers.filter(({ access }) => wanted(access));

/** What a command writes. */
export function written(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'launch' || command.kind === 'operator') {
    return bound(command, (access) => access !== 'read');
  }
  return command.kind === 'copy' || command.kind === 'fill' ? [command.to] : [];
}

/** What a command reads. */
export function consumed(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'launch') return bound(command, (access) => access !== 'write');
  return command.kind === 'copy' ? [{ ...command.from, bytes: command.to.bytes }] : [];
}
