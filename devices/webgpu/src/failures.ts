/** What WebGPU says of submitted work, as errors that name the kernels and say what may help. */
import type { Command, OpenClawError } from '@open-claw/core/device';
import { failure } from '@open-claw/core/device';

/** In the order in which scopes are opened; the last one closes first. */
export const errorScopes = ['internal', 'out-of-memory', 'validation'] as const;

/** Memory that the implementation did not give. Bytes. */
export function outOfMemory(asked: number, free: number, where = ''): OpenClawError {
  const options = { kind: 'transient', retry: 'smaller', where } as const;
  return failure('OC-DEVICE-01', { asked, free }, options);
}

const namesShown = 3;

/** Kernels of commands, for the reader of an error. */
export function namesOf(commands: readonly Command[]): string {
  const all = commands.map((each) => (each.kind === 'launch' ? each.entry : each.kind));
  const names = [...new Set(all)];
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  return `${names.slice(0, namesShown).join(', ')}${more}`;
}

/** A batch of commands, of which `first` is the first one's index in its submission. */
export interface Batch {
  readonly first: number;
  readonly names: string;
  /** Bytes that it needs beside the memories of its arguments. */
  readonly temporaryBytes: number;
}

/** A command that WebGPU refuses or fails at: it would again, perhaps not on another device. */
export function commandFailure(
  { first, names }: Pick<Batch, 'first' | 'names'>,
  message: string,
  isInternal = false,
): OpenClawError {
  const reason = names === '' ? message : `${names}: ${message}`;
  return failure(
    'OC-DEVICE-02',
    { command: first, reason },
    isInternal ? { retry: 'other-device' } : {},
  );
}

/** The error of a batch from what its scopes caught, in the order of `errorScopes`. */
export function verdictOf(
  batch: Batch,
  caught: readonly (GPUError | null)[],
  freeBytes: number,
): OpenClawError | undefined {
  const [internal, memory, validation] = caught;
  if (memory != null) return outOfMemory(batch.temporaryBytes, freeBytes, batch.names);
  if (validation != null) return commandFailure(batch, validation.message);
  return internal == null ? undefined : commandFailure(batch, internal.message, true);
}
