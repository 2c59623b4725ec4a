/** Times a tile program that was written by hand. */
import type { OpenDevice } from '@open-claw/core/face';

export type TileProgram = Parameters<OpenDevice['plugin']['language']['emit']>[0][number];
export type Statement = TileProgram['body'][number];

export const measuredRuns = 5;

/** Least time of some runs, in milliseconds. */
async function leastTime(work: () => Promise<unknown>): Promise<number> {
  await work();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < measuredRuns; i++) {
    const start = performance.now();
    await work();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/**
 * Runs one task of the program per core. `given` fills its buffers by name, the others take
 * `outputBytes` each; `size` is the value of its one size. Gives milliseconds.
 */
export async function timeProgram(
  opened: OpenDevice,
  program: TileProgram,
  given: ReadonlyMap<string, Uint8Array>,
  { outputBytes, size }: { readonly outputBytes: number; readonly size: number },
): Promise<number> {
  const { device, plugin, target } = opened;
  const source = plugin.language.emit([program], target);
  const module = await device.load(await plugin.compile(source, target));
  const memories: Awaited<ReturnType<typeof device.allocate>>[] = [];
  try {
    for (const { name } of program.buffers) {
      const content = given.get(name);
      const memory = await device.allocate(content?.byteLength ?? outputBytes);
      memories.push(memory);
      if (content !== undefined) await device.write(memory, 0, content);
    }
    const buffers = memories.map((memory, i) => {
      const isRead = program.buffers[i]?.access === 'read';
      const access = isRead ? ('read' as const) : ('write' as const);
      return { memory, offset: 0, bytes: memory.bytes, access };
    });
    const facts = { entry: program.name, grid: [target.cores], sizes: [size] };
    return await leastTime(async () => {
      device.submit([{ kind: 'launch', module, ...facts, buffers, microseconds: 10_000 }]);
      await device.sync();
    });
  } finally {
    for (const handle of [...memories, module]) device.free(handle);
  }
}
