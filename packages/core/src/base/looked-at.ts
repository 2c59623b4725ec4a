/**
 * Which large constants the compiler looked into. Programs follow from the structure of a graph
 * and from its small constants; a choice that follows from the content of a large one says so.
 */
import type { HostTensor } from './host-tensor.js';

/** Constants of up to this many elements may be looked into without a word. */
export const smallElements = 65_536;

let noted: Set<HostTensor> | undefined;

/** Says that what follows depends on the content of a constant. */
export function lookInto(tensor: HostTensor): HostTensor {
  if (tensor.data.length > smallElements) noted?.add(tensor);
  return tensor;
}

/** What `work` gives, and the large constants that it looked into. */
export function noteLooks<T>(work: () => T): {
  readonly result: T;
  readonly looked: ReadonlySet<HostTensor>;
} {
  const before = noted;
  const looked = new Set<HostTensor>();
  noted = looked;
  try {
    return { result: work(), looked };
  } finally {
    noted = before;
    for (const tensor of looked) before?.add(tensor);
  }
}
