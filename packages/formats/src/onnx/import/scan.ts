/** Scan: a loop over slices of its inputs whose results are stacked. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';
import { tensorValue, type Value } from './value.js';

interface ScanParts {
  readonly states: readonly Node[];
  readonly inputs: readonly Node[];
  /** Of inputs and of outputs: 1 walks from the end. */
  readonly directions: readonly number[];
  readonly outputDirections: readonly number[];
  readonly outputAxes: readonly number[];
}

const nodeOf = (call: OperatorCall, value: Value): Node => {
  if (value.kind === 'tensor') return value.node;
  throw call.refuse('the body gives something other than tensors');
};

function moveAxis(x: Node, from: number, to: number): Node {
  const axes = x.shape.map((_, i) => i).filter((i) => i !== from);
  return build.permute(x, axes.toSpliced(to, 0, from));
}

/** States after the loop, then stacked outputs. Inputs have the scanned axis first. */
function scanOver(call: OperatorCall, parts: ScanParts): Node[] {
  const body = call.graphAttribute('body');
  const captured = call.captures([body]);
  const turned = parts.inputs.map((x, i) => (parts.directions[i] === 1 ? build.flip(x, [0]) : x));
  const first = turned[0];
  if (first === undefined) throw call.refuse('nothing to scan over');
  const trip = first.shape[0] as Size;
  for (const other of turned) call.require('equal', other.shape[0] as Size, trip, 'scanned length');
  const results = build.loop({
    trip,
    carried: parts.states,
    invariants: [...turned, ...captured],
    body: (carried, own, iteration) => {
      const slices = own.slice(0, turned.length).map((x) => {
        const row = build.sliceAxis(x, 0, iteration, 1);
        return build.reshape(row, x.shape.slice(1));
      });
      const inputs = [...carried, ...slices].map(tensorValue);
      const made = call
        .region(body, inputs, captured, own.slice(turned.length))
        .map((value) => nodeOf(call, value));
      const count = parts.states.length;
      return { carried: made.slice(0, count), stacked: made.slice(count) };
    },
  });
  return results.map((node, index) => {
    const i = index - parts.states.length;
    if (i < 0) return node;
    const straight = parts.outputDirections[i] === 1 ? build.flip(node, [0]) : node;
    const axis = call.axis(parts.outputAxes[i] ?? 0, node.shape.length);
    return moveAxis(straight, 0, axis);
  });
}

function scan(call: OperatorCall): readonly Node[] {
  const all = call.tensors();
  const count = call.int('num_scan_inputs');
  const states = all.slice(0, all.length - count);
  const axes = call.ints('scan_input_axes', []);
  const inputs = all.slice(all.length - count).map((x, i) => {
    return moveAxis(x, call.axis(axes[i] ?? 0, x.shape.length), 0);
  });
  return scanOver(call, {
    states,
    inputs,
    directions: call.ints('scan_input_directions', []),
    outputDirections: call.ints('scan_output_directions', []),
    outputAxes: call.ints('scan_output_axes', []),
  });
}

/** Version 8 has a batch as first axis of everything; each element is scanned by itself. */
function batchedScan(call: OperatorCall): readonly Node[] {
  if (call.has(0)) throw call.refuse('sequences of different lengths (sequence_lens)');
  const all = call.tensors(1);
  const first = all[0];
  if (first === undefined) throw call.refuse('nothing to scan over');
  const batch = call.staticSize(first.shape[0] as Size, 'the batch');
  const count = call.int('num_scan_inputs');
  const runs = Array.from({ length: batch }, (_, b) => {
    const own = all.map((x) => build.reshape(build.sliceAxis(x, 0, b, 1), x.shape.slice(1)));
    return scanOver(call, {
      states: own.slice(0, own.length - count),
      inputs: own.slice(own.length - count),
      directions: call.ints('directions', []),
      outputDirections: [],
      outputAxes: [],
    });
  });
  const outputs = runs[0] ?? [];
  return outputs.map((_, i) =>
    build.stack(
      runs.map((run) => run[i] as Node),
      0,
    ),
  );
}

export const scanOperators: OperatorTable = {
  Scan: {
    versions: [8, 9, 11, 16, 19, 21, 23, 24, 25],
    import: (call) => (call.version === 8 ? batchedScan(call) : scan(call)),
  },
};
