/** Loaded programs: kernels with the arguments that the driver holds for them. */
import {
  type Binary,
  type Entry,
  failure,
  internal,
  type Module,
  refused,
  type Target,
} from '@open-claw/core/device';
import { binaryFormat, splitKernels } from './binary.js';
import { type BuildPlace, buildCompiled, buildSource } from './build.js';
import { nameOf } from './constants.js';
import type { Driver, Handle, Size } from './driver.js';

export interface Kernel {
  readonly object: Handle;
  readonly entry: Entry;
  /** Arguments as set last: the driver keeps them. */
  readonly set: (Handle | undefined)[];
  launched: boolean;
}

export class ClModule implements Module {
  readonly entries: readonly Entry[];
  readonly owner: object;
  private readonly driver: Driver;
  private readonly kernels: ReadonlyMap<string, Kernel>;
  /** 0 once it is released. */
  private program: Handle;

  constructor(
    owner: object,
    driver: Driver,
    program: Handle,
    entries: readonly Entry[],
    kernels: ReadonlyMap<string, Kernel>,
  ) {
    this.owner = owner;
    this.driver = driver;
    this.program = program;
    this.entries = entries;
    this.kernels = kernels;
  }

  /** Undefined where there is none, or none any more. */
  kernel(name: string): Kernel | undefined {
    return this.program === 0 ? undefined : this.kernels.get(name);
  }

  release(): void {
    for (const { object } of this.kernels.values()) this.driver.release('kernel', object);
    this.driver.release('program', this.program);
    this.program = 0;
  }
}

export interface LoadPlace extends BuildPlace {
  readonly target: Target;
  /** Identity of device and driver, as in binaries. */
  readonly identity: string;
}

/** Loads the compiled form where it is this driver's, else builds the text. */
export async function loadModule(
  owner: object,
  place: LoadPlace,
  binary: Binary,
): Promise<ClModule> {
  const { target, identity, driver } = place;
  if (binary.format !== binaryFormat || binary.target !== target.id) {
    const what = `a binary of ${binary.format} for ${binary.target}`;
    throw refused(what, `this device loads ${binaryFormat} for ${target.id}`);
  }
  const { text, compiled } = splitKernels(binary.bytes);
  const usable = binary.toolchain === identity && compiled.byteLength > 0;
  const ready = usable ? await buildCompiled(place, compiled) : undefined;
  const program = ready ?? (await buildSource(place, text));
  const kernels = new Map<string, Kernel>();
  const module = new ClModule(owner, driver, program, binary.entries, kernels);
  for (const entry of binary.entries) {
    const { object, code } = driver.createKernel(program, entry.name);
    if (code !== 0) {
      module.release();
      throw internal(`kernel ${entry.name} is not in its program: ${nameOf(code)}`);
    }
    kernels.set(entry.name, { object, entry, set: [], launched: false });
  }
  return module;
}

/** Sets one argument of a kernel, unless the driver has it already; gives 0 or an error code. */
export function setArgument(
  driver: Driver,
  kernel: Kernel,
  at: number,
  value: Handle,
  type: 'i32' | 'i64',
): number {
  if (kernel.set[at] === value) return 0;
  const bytes = type === 'i32' ? Int32Array.of(Number(value)) : BigUint64Array.of(BigInt(value));
  const code = driver.setArgument(kernel.object, at, bytes);
  if (code === 0) kernel.set[at] = value;
  return code;
}

/** Throws OC-DEVICE-02 where a launch gives other arguments than the kernel takes. */
export function checkArguments(
  { entry }: Kernel,
  buffers: number,
  sizes: number,
  command: number,
): void {
  if (buffers === entry.buffers.length && sizes === entry.sizes.length) return;
  const takes = `${entry.buffers.length} buffers and ${entry.sizes.length} sizes`;
  const reason = `${entry.name} takes ${takes}, not ${buffers} and ${sizes}`;
  throw failure('OC-DEVICE-02', { command, reason });
}

/** At least as many groups as tasks, along as few axes as the target allows. */
export function sizeOf({ entry }: Kernel, target: Target, tasks: number): Size {
  const across = Math.min(tasks, target.maxGrid[0]);
  const down = Math.min(Math.ceil(tasks / across), target.maxGrid[1]);
  const deep = Math.ceil(tasks / (across * down));
  const group = entry.group[0];
  return { threads: [across * group, down, deep], group };
}
