/** What the tests of an exam work with: the plug-in, a found device, and short ways to run. */
import {
  compile,
  type Device,
  type DevicePlugin,
  evidenceOf,
  type Found,
  type HostTensor,
  load,
  type OpenDevice,
  type RunOptions,
} from '@open-claw/core';
import { type Graph, isFailure } from '@open-claw/core/internal';

export type Memory = Awaited<ReturnType<Device['allocate']>>;

export class ExamFailure extends Error {}

export function ensure(holds: boolean, what: string): void {
  if (!holds) throw new ExamFailure(what);
}

/** The code of what `work` rejects with. Throws where it does not reject, or with another error. */
export async function rejection(work: Promise<unknown>, what: string): Promise<string> {
  try {
    await work;
  } catch (error) {
    ensure(isFailure(error), `${what}: the error is none of OpenCLAW's: ${String(error)}`);
    return isFailure(error) ? error.code : '';
  }
  throw new ExamFailure(`${what}: it did not fail`);
}

export async function expectCode(
  work: Promise<unknown>,
  codes: readonly string[],
  what: string,
): Promise<void> {
  const code = await rejection(work, what);
  ensure(codes.includes(code), `${what}: ${code} instead of ${codes.join(' or ')}`);
}

export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  ensure(at === -1, `${what}: byte ${at} is ${actual[at]}, not ${expected[at]}`);
}

export class ExamSession {
  readonly plugin: DevicePlugin;
  readonly found: Found;

  private constructor(plugin: DevicePlugin, found: Found) {
    this.plugin = plugin;
    this.found = found;
  }

  /** The device of that id (or the first found), or the row of it whose target has the id. */
  static async find(plugin: DevicePlugin, id?: string): Promise<ExamSession> {
    const found = (await plugin.probe()).flatMap((entry) => ('target' in entry ? [entry] : []));
    const [first] = found;
    if (first === undefined) throw new ExamFailure(`no device of ${plugin.name} is there`);
    const chosen = found.find((each) => each.id === id);
    const row = plugin.targets.find((target) => target.id === id);
    const rowOf = row === undefined || id === undefined ? undefined : { ...first, id, target: row };
    return new ExamSession(plugin, chosen ?? rowOf ?? first);
  }

  /** Opens a device of its own, and closes it after the work. */
  async withDevice<T>(work: (device: Device) => Promise<T>): Promise<T> {
    const device = await this.plugin.open(this.found.id);
    try {
      return await work(device);
    } finally {
      await device.close().catch(() => {});
    }
  }

  asOpen(device: Device): OpenDevice {
    const { plugin, found } = this;
    const { id, target } = found;
    return { id, plugin, found, target, evidence: evidenceOf(found), device };
  }

  async runGraph(
    device: Device,
    graph: Graph,
    inputs: readonly HostTensor[],
    options: RunOptions = {},
  ): Promise<readonly HostTensor[]> {
    const { target } = this.found;
    const program = compile(graph, target, this.plugin.language);
    const executable = await load(program, this.asOpen(device));
    try {
      return await executable.run(inputs, options);
    } finally {
      await executable.dispose();
    }
  }
}

export async function readAll(device: Device, memory: Memory): Promise<Uint8Array> {
  const bytes = new Uint8Array(memory.bytes);
  await device.read(memory, 0, bytes);
  return bytes;
}

export const counting = (length: number, step = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * step + 1) & 255);
