/** Random programs keep every bit under simplify; recognise and verify hold on all of them. */
import { describe, expect, it } from 'vitest';
import { isFailure } from '../base/errors.js';
import { valuesOf } from '../base/host-tensor.js';
import { interpret, interpretNode } from './interpret.js';
import { printGraph } from './print.js';
import { randomProgram } from './random-graph.js';
import { recognise } from './recognise.js';
import { simplify } from './simplify.js';
import { verify } from './verify.js';

const programs = 120;

/** The results, or the code of the error. */
function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (isFailure(error)) return error.code;
    throw error;
  }
}

describe('random programs', () => {
  it('keep every bit when simplified', () => {
    let changed = 0;
    for (let seed = 1; seed <= programs; seed++) {
      const { graph, inputs } = randomProgram(seed);
      verify(graph);
      const simpler = simplify(graph, { evaluate: (node, xs) => interpretNode(node, xs) });
      verify(simpler);
      verify(recognise(simpler));
      if (simpler !== graph) changed++;
      const [want, have] = [graph, simpler].map((g) =>
        outcome(() => interpret(g, inputs).map(valuesOf)),
      );
      expect(have, `seed ${seed}\n${printGraph(graph)}\n${printGraph(simpler)}`).toEqual(want);
    }
    expect(changed).toBeGreaterThan(programs / 4);
  });
});
