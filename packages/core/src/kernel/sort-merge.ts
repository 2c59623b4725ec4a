/**
 * Stable sort of lines for targets without vectors or memory of a task's own: a bottom-up merge
 * sort of positions, then keys and payloads are written in that order. Positions live in a
 * workspace of two lines per task.
 */
import { isFloat } from '../base/dtype.js';
import { add, type Expression, minimum, multiply, product, subtract } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType, lowerBinary } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import {
  aroundAxis,
  lineAddress,
  loadElement,
  loadWord,
  storeElement,
  taskAxis,
} from './sequential.js';

export function lowerMergeSort(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'sort'>;
  const keys = node.inputs[0] as Node;
  const { axis, descending } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const around = aroundAxis(keys.shape, axis);
  const bytes = multiply(8, product(keys.shape));
  const workspace: Workspace = { kind: 'workspace', id: 0, bytes, constant: false };
  const order = frame.workspace(workspace, 'i32', 'readWrite');
  const from = frame.input(keys) as string;
  const outer = taskAxis(b, around.outer);
  const inner = taskAxis(b, around.inner);
  const line = add(multiply(outer.index, around.inner), inner.index);
  const start = lineAddress(around, outer.index, inner.index);
  const { length } = around;
  const halves = multiply(line, 2, length);
  const element = (position: Expression): Expression =>
    add(start, multiply(position, around.inner));
  const keyAt = (position: Value): Value =>
    loadElement(b, from, keys, element(b.name(toIndex(b, position), length)));

  /** Whether the right key must come before the left one; equal keys keep their order. */
  const goesBefore = (right: Value, left: Value): Value => {
    const [a, c] = descending ? [left, right] : [right, left];
    const less = lowerBinary(b, target, 'less', keys.dtype, a, c, () => {});
    if (!isFloat(keys.dtype)) return less;
    // NaN comes last in both directions.
    const rightNumber = b.equal(right, right);
    const leftNaN = b.notEqual(left, left);
    return b.and(rightNumber, b.or(leftNaN, less));
  };

  const put = (address: Expression, value: Value): void =>
    b.store({ buffer: order, address, strides: [] }, b.convert(value, 'i32'));
  const get = (address: Expression): Value => loadWord(b, order, 'i32', address);

  b.for(0, length, 1, (i) => put(add(halves, i), b.scalar(i)));
  const width = b.variable(b.scalar(1));
  const side = b.variable(b.scalar(0));
  b.while(
    () => b.less(b.read(width), b.scalar(length)),
    () => {
      const w = b.name(b.read(width), add(length, 1));
      const which = b.name(b.read(side), 2);
      const source = add(halves, multiply(which, length));
      const sink = add(halves, multiply(subtract(1, which), length));
      b.for(0, length, multiply(2, w), (low) => {
        mergeRuns(b, { low, width: w, length, source, sink, put, get, keyAt, goesBefore });
      });
      b.assign(width, b.scalar(multiply(2, w)));
      b.assign(side, b.scalar(subtract(1, which)));
    },
  );
  const sorted = add(halves, multiply(b.name(b.read(side), 2), length));
  node.inputs.forEach((payload, index) => {
    const output = step.outputs.find(
      (candidate) => candidate.op === 'part' && candidate.attributes.index === index,
    );
    if (output === undefined) return;
    const to = frame.output(output);
    if (payload.op === 'iota' && payload.attributes.axis === axis) {
      const type = computeType(payload.dtype);
      b.for(0, length, 1, (i) => {
        storeElement(b, to, payload, element(i), b.convert(get(add(sorted, i)), type));
      });
      return;
    }
    const values = frame.input(payload) as string;
    b.for(0, length, 1, (i) => {
      const position = b.name(toIndex(b, get(add(sorted, i))), length);
      storeElement(b, to, payload, element(i), loadElement(b, values, payload, element(position)));
    });
  });
  const grid = [...outer.grid, ...inner.grid];
  return [frame.finish(names, { lanes: 1, group: 1, grid })];
}

const toIndex = (b: KernelBuilder, value: Value): Value => b.convert(value, b.indexType);

interface Merge {
  readonly low: Expression;
  readonly width: Expression;
  readonly length: Expression;
  readonly source: Expression;
  readonly sink: Expression;
  readonly put: (address: Expression, value: Value) => void;
  readonly get: (address: Expression) => Value;
  readonly keyAt: (position: Value) => Value;
  readonly goesBefore: (right: Value, left: Value) => Value;
}

/** Merges the runs [low, low + width) and [low + width, low + 2·width), cut at the length. */
function mergeRuns(b: KernelBuilder, m: Merge): void {
  const middle = minimum(add(m.low, m.width), m.length);
  const high = minimum(add(m.low, m.width, m.width), m.length);
  const left = b.variable(b.scalar(m.low));
  const right = b.variable(b.scalar(middle));
  b.for(m.low, high, 1, (out) => {
    const l = b.name(b.read(left), add(m.length, 1));
    const r = b.name(b.read(right), add(m.length, 1));
    const leftOpen = b.less(b.scalar(l), b.scalar(middle));
    const rightOpen = b.less(b.scalar(r), b.scalar(high));
    const takeRight = b.variable(b.not(leftOpen));
    b.if(b.and(leftOpen, rightOpen), () => {
      const before = m.goesBefore(
        m.keyAt(m.get(add(m.source, r))),
        m.keyAt(m.get(add(m.source, l))),
      );
      b.assign(takeRight, before);
    });
    b.if(
      b.read(takeRight),
      () => {
        m.put(add(m.sink, out), m.get(add(m.source, r)));
        b.assign(right, b.scalar(add(r, 1)));
      },
      () => {
        m.put(add(m.sink, out), m.get(add(m.source, l)));
        b.assign(left, b.scalar(add(l, 1)));
      },
    );
  });
}
