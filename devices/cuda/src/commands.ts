/** Commands as driver calls: checked and packed when they are submitted, issued later. */
import {
  type Command,
  failure,
  isFailure,
  type Memory,
  type MemoryArgument,
  type OpenClawError,
  refused,
  type Target,
} from '@open-claw/core/device';
import type { Argument } from './calls.js';
import type { Context } from './context.js';
import { addressOfArgument, entryIn, GpuRecording, recordingIn, type Touched } from './handles.js';
import { groupsOf, type Parameter, packParameters } from './launch.js';
import type { DriverPart } from './signatures.table.js';

/** One driver call; undefined for a command that has nothing to do. */
export interface Step {
  readonly part: DriverPart;
  readonly values: readonly Argument[];
}

/** A command that is ready to be issued, or why it cannot be. */
export interface Prepared extends Touched {
  /** undefined for a command that has nothing to do. */
  readonly step: Step | undefined;
  readonly error?: OpenClawError;
}

/** Packs a command; a handle that is not the owner's becomes the command's error. */
export function prepare(
  command: Command,
  owner: object,
  context: Context,
  target: Target,
): Prepared {
  const touched = touchedBy(command);
  try {
    return { ...touched, step: stepOf(command, owner, context, target) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { ...touched, step: undefined, error };
  }
}

/** A replay reads what its commands read before they write it, and writes what they write. */
const touchedBy = (command: Command): Touched =>
  command.kind === 'replay' && command.recording instanceof GpuRecording
    ? command.recording.touched
    : { reads: readBy(command), writes: writtenBy(command) };

/** What a list of commands reads that it has not written before, and what it writes. */
export function touchedByAll(steps: readonly Touched[]): Touched {
  const written = new Map<Memory, readonly MemoryArgument[]>();
  const reads: MemoryArgument[] = [];
  for (const step of steps) {
    for (const argument of step.reads) {
      const { memory, offset, bytes } = argument;
      const isWritten = (written.get(memory) ?? []).some(
        (each) => each.offset <= offset && offset + bytes <= each.offset + each.bytes,
      );
      if (!isWritten) reads.push(argument);
    }
    for (const each of step.writes) {
      written.set(each.memory, [...(written.get(each.memory) ?? []), each]);
    }
  }
  return { reads, writes: steps.flatMap(({ writes }) => writes) };
}

function readBy(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'copy') return [command.from];
  const listed = 'buffers' in command ? command.buffers : [];
  return listed.filter(({ access }) => access !== 'write');
}

function writtenBy(command: Command): readonly MemoryArgument[] {
  if (command.kind === 'copy' || command.kind === 'fill') return [command.to];
  const listed = 'buffers' in command ? command.buffers : [];
  return listed.filter(({ access }) => access !== 'read');
}

const onDevice = 3;

/** The call of a command. Throws OC-DEVICE-03 for a handle that is not the owner's. */
function stepOf(
  command: Command,
  owner: object,
  context: Context,
  target: Target,
): Step | undefined {
  const { stream } = context;
  switch (command.kind) {
    case 'launch':
      return launchStep(command, owner, context, target);
    case 'copy': {
      const { from, to } = command;
      if (from.bytes !== to.bytes)
        throw failure('OC-DEVICE-03', { reason: 'a copy between lengths' });
      const [source, sink] = [addressOfArgument(owner, from), addressOfArgument(owner, to)];
      if (to.bytes === 0) return undefined;
      if (context.has('copyOnDevice')) {
        return { part: 'copyOnDevice', values: [sink, source, to.bytes, stream] };
      }
      return { part: 'copy', values: [sink, source, to.bytes, onDevice, stream] };
    }
    case 'fill': {
      const address = addressOfArgument(owner, command.to);
      if (command.to.bytes === 0) return undefined;
      if (!context.has('fill')) throw refused('command fill', 'the driver has no such call');
      return { part: 'fill', values: [address, command.byte, command.to.bytes, stream] };
    }
    case 'replay': {
      const { handle } = recordingIn(owner, command.recording);
      return { part: 'graphLaunch', values: [handle, stream] };
    }
    default:
      throw refused(`command ${command.kind}`, 'this device has no such command');
  }
}

function launchStep(
  command: Extract<Command, { kind: 'launch' }>,
  owner: object,
  context: Context,
  target: Target,
): Step | undefined {
  const { entry, handle } = entryIn(owner, command.module, command.entry);
  const { buffers, sizes } = command;
  if (buffers.length !== entry.buffers.length || sizes.length !== entry.sizes.length) {
    const given = `${buffers.length} buffers and ${sizes.length} sizes`;
    const needed = `${entry.buffers.length} and ${entry.sizes.length}`;
    throw failure('OC-DEVICE-03', { reason: `${command.entry} got ${given}, takes ${needed}` });
  }
  const tasks = command.grid.reduce((product, extent) => product * extent, 1);
  const parameters: readonly Parameter[] = [
    ...buffers.map((b) => ({ kind: 'address', value: addressOfArgument(owner, b) }) as const),
    ...sizes.map((value) => ({ kind: entry.indexType, value }) as const),
  ];
  if (tasks === 0) return undefined;
  const groups = groupsOf(tasks, target.maxGrid);
  const [x, y, z] = entry.group;
  const { calls } = context.card;
  const packed = packParameters(parameters, (array) => calls.addressOf(array));
  if (context.has('launchDims')) {
    const values = [handle, groups, { x, y, z }, 0, context.stream, packed];
    return { part: 'launchDims', values };
  }
  const values = [handle, groups.x, groups.y, groups.z, x, y, z, 0, context.stream, packed, null];
  return { part: 'launch', values };
}
