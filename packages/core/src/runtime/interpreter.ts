/**
 * The reference: a graph run by the interpreter, behind the same interface as a loaded program.
 * It is nobody's device and not in the registry.
 */
import { failure } from '../base/errors.js';
import type { HostTensor } from '../base/host-tensor.js';
import { interpret } from '../graph/interpret.js';
import type { Graph } from '../graph/node.js';
import type { Executable } from './run.js';

export function interpreterExecutable(graph: Graph): Executable {
  let isReleased = false;
  const executable: Executable = {
    inputs: graph.inputs.map(({ attributes, dtype, shape }) => ({
      name: attributes.name,
      dtype,
      shape,
    })),
    outputs: graph.outputs.map(({ dtype, shape }) => ({ dtype, shape })),
    peakBytes: 0,
    async run(inputs: readonly HostTensor[], { signal, timeLimit } = {}) {
      if (isReleased) throw failure('OC-RUN-08');
      const deadline = Date.now() + (timeLimit ?? Number.POSITIVE_INFINITY);
      const check = (): void => {
        if (signal?.aborted === true) throw failure('OC-DEVICE-05', {}, { cause: signal.reason });
        if (Date.now() > deadline) {
          throw failure('OC-DEVICE-04', { limit: timeLimit ?? 0 }, { retry: 'smaller' });
        }
      };
      return interpret(graph, inputs, { check });
    },
    async profile(inputs, options) {
      return { outputs: await executable.run(inputs, options), steps: [] };
    },
    async dispose() {
      isReleased = true;
    },
  };
  return executable;
}
