/** Square blocks of vectors turned in registers. */
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import { listLanes } from './c-lanes.js';
import type { Prelude } from './c-prelude.js';

/**
 * Turns `lanes` vectors in place, by log₂ steps: each swaps the off-diagonal quarters of all
 * blocks of one size (Eklundh, "A fast computer method for matrix transposing", IEEE Transactions
 * on Computers C-21, 1972).
 */
export function transposeBlock(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const index = p.type(bytesOfMemory[element] === 8 ? 'i64' : 'i32', lanes);
  return p.define('void', `transpose_${type}`, `${type} *row`, () => {
    const steps: string[] = [];
    for (let size = 1; size < lanes; size *= 2) {
      const low = listLanes(lanes, (i) => String((i & size) === 0 ? i : lanes + i - size));
      const high = listLanes(lanes, (i) => String((i & size) === 0 ? i + size : lanes + i));
      for (let i = 0; i < lanes; i++) {
        if ((i & size) !== 0) continue;
        const [a, b] = [`a${size}_${i}`, `b${size}_${i}`];
        steps.push(`const ${type} ${a} = row[${i}], ${b} = row[${i + size}];`);
        steps.push(`row[${i}] = SHUFFLE2(${a}, ${b}, ${index}, ${low});`);
        steps.push(`row[${i + size}] = SHUFFLE2(${a}, ${b}, ${index}, ${high});`);
      }
    }
    return steps.join('\n  ');
  });
}
