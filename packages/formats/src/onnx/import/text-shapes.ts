/** Shapes of tensors of strings, whose elements are known on the host. */
import type { OperatorCall } from './context.js';
import { elementCount, type HostTensor, type Size } from './core.js';
import type { Value } from './value.js';

export const isStrings = (call: OperatorCall, index = 0): boolean =>
  call.has(index) && call.value(index).kind === 'strings';

/** The same strings in another shape; refused when it is not known. */
export function constantStrings(
  call: OperatorCall,
  tensor: HostTensor,
  shape: readonly Size[],
): Value {
  const numbers = shape.map((extent) => call.staticSize(extent, 'the shape of strings'));
  if (elementCount(numbers) !== tensor.data.length) {
    throw call.refuse('the numbers of elements differ');
  }
  return { kind: 'strings', tensor: { ...tensor, shape: numbers } };
}
