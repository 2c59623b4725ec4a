/** Tensors of seeded numbers. */
import { type HostTensor, hostTensor } from '@open-claw/core';
import { elementCount } from '@open-claw/core/internal';

function* numbers(): Generator<number> {
  for (let state = 1; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state / 2 ** 31;
  }
}

/** Gives f32 tensors of numbers in [−1, 1), times `scale`: the same ones to every caller. */
export function seededTensors(): (shape: readonly number[], scale?: number) => HostTensor {
  const stream = numbers();
  return (shape, scale = 1) => {
    const count = elementCount(shape);
    const data = Float32Array.from({ length: count }, () => Number(stream.next().value) * scale);
    return hostTensor('f32', shape, data);
  };
}
