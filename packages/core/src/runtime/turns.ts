/** Whose turn it is on a device that several programs use. */
import type { Device } from './contract.js';

/**
 * Work of all programs on a device, one after the other: a failure that the device reports at the
 * next read belongs to the program that is running.
 */
export class Turns {
  /** The last piece of work; none where it has ended. */
  private tail: Promise<void> | undefined;

  get isFree(): boolean {
    return this.tail === undefined;
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    const result = (this.tail ?? Promise.resolve()).then(work);
    const ended = (): void => {
      if (this.tail === tail) this.tail = undefined;
    };
    const tail = result.then(ended, ended);
    this.tail = tail;
    return result;
  }
}

const turns = new WeakMap<Device, Turns>();

export function turnsOf(device: Device): Turns {
  const known = turns.get(device);
  if (known !== undefined) return known;
  const made = new Turns();
  turns.set(device, made);
  return made;
}
