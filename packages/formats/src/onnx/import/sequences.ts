/** Sequences as lists known at import, and optionals: ONNX operators that make or take them. */
import type { OperatorCall } from './context.js';
import { build, type DType, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';
import { partSizes } from './shapes.js';
import { describeValue, tensorValue, type Value } from './value.js';

type Sequence = Extract<Value, { kind: 'sequence' }>;

const sequence = (items: readonly Value[], dtype: DType | null): Sequence => ({
  kind: 'sequence',
  items,
  dtype,
});

function sequenceOf(call: OperatorCall, index: number): Sequence {
  const value = call.value(index);
  if (value.kind === 'sequence') return value;
  if (value.kind === 'optional' && value.value?.kind === 'sequence') return value.value;
  throw call.refuse(`input ${index} is a ${describeValue(value)}, a sequence is needed`);
}

function itemsOf(call: OperatorCall, index: number): readonly Node[] {
  return sequenceOf(call, index).items.map((item) => {
    if (item.kind === 'tensor') return item.node;
    throw call.refuse(`an element is a ${describeValue(item)}`);
  });
}

/** A position from input `index`, counted from the end when negative, in [0, limit]. */
function positionOf(call: OperatorCall, index: number, count: number, limit: number): number {
  const given = call.needConstantInts(index)[0] as number;
  const at = given < 0 ? given + count : given;
  if (at < 0 || at > limit) throw call.refuse(`position ${given} is outside ${count} elements`);
  return at;
}

function construct(call: OperatorCall): Value {
  const items = Array.from({ length: call.inputCount }, (_, i) => call.value(i));
  const first = items[0];
  const dtype = first?.kind === 'tensor' ? first.node.dtype : null;
  return sequence(items, dtype);
}

function insert(call: OperatorCall): Value {
  const list = sequenceOf(call, 0);
  const count = list.items.length;
  const at = call.has(2) ? positionOf(call, 2, count, count) : count;
  return sequence(list.items.toSpliced(at, 0, call.value(1)), list.dtype);
}

function erase(call: OperatorCall): Value {
  const list = sequenceOf(call, 0);
  const count = list.items.length;
  const at = call.has(1) ? positionOf(call, 1, count, count - 1) : count - 1;
  return sequence(list.items.toSpliced(at, 1), list.dtype);
}

function itemAt(call: OperatorCall): Value {
  const list = sequenceOf(call, 0);
  const count = list.items.length;
  return list.items[positionOf(call, 1, count, count - 1)] as Value;
}

/** Lengths of the parts; `keep` is whether the axis stays. */
function splitParts(call: OperatorCall, extent: Size): { sizes: readonly Size[]; keep: boolean } {
  const total = (): number => call.staticSize(extent, 'the size of the axis that is split');
  if (!call.has(1)) {
    const keep = call.int('keepdims', 1) !== 0;
    return { sizes: Array<Size>(total()).fill(1), keep };
  }
  if (call.tensor(1).shape.length > 0) {
    return { sizes: partSizes(call, extent, call.sizes(1)), keep: true };
  }
  const chunk = call.needConstantInts(1)[0] as number;
  if (chunk < 1) throw call.refuse('the parts are not positive');
  const count = Math.ceil(total() / chunk);
  const sizes = Array.from({ length: count }, (_, i) => Math.min(chunk, total() - i * chunk));
  return { sizes, keep: true };
}

function splitToSequence(call: OperatorCall): Value {
  const x = call.tensor(0);
  const axis = call.axis(call.int('axis', 0), x.shape.length);
  const { sizes, keep } = splitParts(call, x.shape[axis] as Size);
  const parts = build.split(x, axis, sizes);
  const items = keep ? parts : parts.map((part) => build.squeeze(part, [axis]));
  return sequence(items.map(tensorValue), x.dtype);
}

function concatFromSequence(call: OperatorCall): Node {
  const items = itemsOf(call, 0);
  const first = items[0];
  if (first === undefined) throw call.refuse('the sequence is empty');
  const fresh = call.int('new_axis', 0) !== 0;
  const axis = call.axis(call.int('axis'), first.shape.length + (fresh ? 1 : 0));
  return fresh ? build.stack(items, axis) : build.concat(items, axis);
}

function emptySequence(call: OperatorCall): Value {
  return sequence([], call.dtypeAttribute('dtype', 'f32'));
}

/** The body once per element; other inputs are sequences of the same length or tensors. */
function mapSequence(call: OperatorCall): readonly Value[] {
  const body = call.graphAttribute('body');
  const { length } = sequenceOf(call, 0).items;
  const results = Array.from({ length }, (_, at) => {
    const inputs = Array.from({ length: call.inputCount }, (_, i) => {
      const value = call.value(i);
      if (value.kind !== 'sequence') return value;
      const item = value.items[at];
      if (item === undefined) throw call.refuse('the sequences have different lengths');
      return item;
    });
    return call.inline(body, inputs);
  });
  return body.outputs.map((_, output) => {
    const items = results.map((each) => each[output] as Value);
    const first = items[0];
    return sequence(items, first?.kind === 'tensor' ? first.node.dtype : null);
  });
}

function optional(call: OperatorCall): Value {
  return { kind: 'optional', value: call.has(0) ? call.value(0) : null };
}

function hasElement(call: OperatorCall): Node {
  const value = call.has(0) ? call.value(0) : null;
  const there = value !== null && (value.kind !== 'optional' || value.value !== null);
  return build.scalar('bool', there);
}

function getElement(call: OperatorCall): Value {
  const value = call.value(0);
  if (value.kind !== 'optional') return value;
  if (value.value === null) throw call.refuse('the optional is empty');
  return value.value;
}

export const sequenceOperators: OperatorTable = {
  SequenceEmpty: { versions: [11], import: emptySequence },
  SequenceConstruct: { versions: [11], import: construct },
  SequenceInsert: { versions: [11], import: insert },
  SequenceErase: { versions: [11], import: erase },
  SequenceAt: { versions: [11], import: itemAt },
  SequenceLength: {
    versions: [11],
    import: (call) => build.scalar('i64', sequenceOf(call, 0).items.length),
  },
  SplitToSequence: { versions: [11, 24], import: splitToSequence },
  ConcatFromSequence: { versions: [11], import: concatFromSequence },
  SequenceMap: { versions: [17], import: mapSequence },
  Optional: { versions: [15], import: optional },
  OptionalHasElement: { versions: [15, 18], import: hasElement },
  OptionalGetElement: { versions: [15, 18], import: getElement },
};
