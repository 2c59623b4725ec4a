/** Copies and fills of any bytes, by a shader: WebGPU's own commands move whole words only. */
import type { Entry } from '@open-claw/core/device';
import { type Kernel, layoutOf, pipelineOf } from './module.js';

const threads = 64;

/** Each thread owns a word of the target, so that neighbours cannot disturb each other. */
const code = `struct Move { source: u32, start: u32, bytes: u32, fill: u32 }
@group(0) @binding(0) var<storage, read> from_words: array<u32>;
@group(0) @binding(1) var<storage, read_write> to_words: array<u32>;
@group(0) @binding(2) var<uniform> task: Move;
@compute @workgroup_size(${threads})
fn move_bytes(@builtin(local_invocation_index) thread: u32,
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>) {
  let number = (block.x + blocks.x * block.y) * ${threads}u + thread;
  let word = task.start / 4u + number;
  let end = task.start + task.bytes;
  if (word * 4u >= end) { return; }
  var value = to_words[word];
  for (var i = 0u; i < 4u; i++) {
    let at = word * 4u + i;
    if (at < task.start || at >= end) { continue; }
    let place = task.source + (at - task.start);
    var byte = task.fill;
    if (byte > 255u) { byte = extractBits(from_words[place / 4u], place % 4u * 8u, 8u); }
    value = insertBits(value, byte, i * 8u, 8u);
  }
  to_words[word] = value;
}
`;

const entry: Entry = {
  name: 'move_bytes',
  group: [threads, 1, 1],
  sharedBytes: 0,
  scratchBytes: 0,
  buffers: [
    { name: 'from', write: false },
    { name: 'to', write: true },
  ],
  sizes: ['source', 'start', 'bytes', 'fill'],
  indexType: 'i32',
  axes: 1,
};

/** Stands for "copy" where a byte to fill with would be. */
export const copyMark = 256;

/** Its sizes: first byte to read, first byte to write, bytes, and what to fill with. */
export async function loadMoveKernel(gpu: GPUDevice): Promise<Kernel> {
  const layout = layoutOf(gpu, entry);
  const pipeline = await pipelineOf(gpu, entry.name, code, layout);
  return { entry, pipeline, layout, tasksPerGroup: threads, bindGroups: new Map() };
}
