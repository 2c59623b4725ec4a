/**
 * Stable sort of long lines by radix, least significant digit first (Knuth 5.2.5): keys become
 * unsigned words of the same order, and every pass moves words and positions, side by side, by
 * eight bits of them. A pass is three kernels: digits are counted block by block, the counts become
 * places, and every block moves its elements. The last pass writes keys and payloads: from word and
 * position where they tell, else from where they came.
 */
import { dtypeFacts, isFloat, isUnsigned } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  upperBound,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { longLine } from '../schedule/top.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType } from './elementwise.js';
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
import type { GridAxis } from './tile.js';

const digitBits = 8;
const digits = 2 ** digitBits;
/** Elements of a block: its counters are a small part of its work. */
const blockLength = { vector: 16384, threads: 2048 };

const isWord = (node: Node): boolean => {
  const type = computeType(node.dtype);
  return type === 'f32' || type === 'i32' || type === 'u32' || type === 'bool';
};

/** Whether this is the way: keys of one word, and lines that are long or the only one. */
export function suitsRadix(node: NodeOf<'sort'>): boolean {
  const keys = node.inputs[0] as Node;
  const { outer, length, inner } = aroundAxis(keys.shape, node.attributes.axis);
  if (!isWord(keys) || upperBound(length) < longLine) return false;
  return typeof length === 'number' || multiply(outer, inner) === 1;
}

export function lowerRadixSort(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'sort'>;
  const keys = node.inputs[0] as Node;
  const passes = Math.ceil(keyBits(keys) / digitBits);
  const sort = { step, node, keys, target, names, passes };
  return Array.from({ length: passes }, (_, pass) => [
    countDigits(sort, pass),
    placeDigits(sort, pass),
    moveElements(sort, pass),
  ]).flat();
}

interface Sort {
  readonly step: KernelStep;
  readonly node: NodeOf<'sort'>;
  readonly keys: Node;
  readonly target: Target;
  readonly names: KernelNames;
  readonly passes: number;
}

/** Small floats are compared as f32. */
const keyBits = ({ dtype }: Node): number =>
  isFloat(dtype) ? 32 : dtype === 'bool' ? digitBits : dtypeFacts[dtype].bits;

/** A key as an unsigned word: the order of the words is that of the sort. */
function wordOf(b: KernelBuilder, node: Node, descending: boolean, key: Value): Value {
  const word = (bits: number): Value => b.literal('u32', bits);
  const flip = (value: Value, bits: number): Value => b.binary('xor', value, word(bits));
  const bits = keyBits(node);
  if (!isFloat(node.dtype)) {
    const plain = b.convert(key, 'u32');
    const signed = !isUnsigned(node.dtype) && node.dtype !== 'bool';
    // Narrow negative numbers have their sign in all bits of the word.
    const all = 2 ** bits - 1;
    const ordered = signed ? b.and(flip(plain, 2 ** (bits - 1)), word(all)) : plain;
    return descending ? flip(ordered, all) : ordered;
  }
  // Zeros of both signs are equal, and equal keys keep their order.
  const zero = b.literal('f32', 0);
  const raw = b.bitcast(b.select(b.equal(key, zero), zero, key), 'i32');
  const sign = b.bitcast(b.binary('shiftRight', raw, b.literal('i32', 31)), 'u32');
  const ordered = b.binary('xor', b.bitcast(raw, 'u32'), b.or(sign, word(2 ** 31)));
  const wanted = descending ? b.not(ordered) : ordered;
  // NaN comes last in both directions.
  return b.select(b.notEqual(key, key), word(2 ** 32 - 1), wanted);
}

/** A kernel of a pass with what all of them need. */
class Pass {
  readonly sort: Sort;
  readonly frame: KernelFrame;
  readonly b: KernelBuilder;
  readonly blocks: Expression;
  private readonly length: Expression;
  private readonly stride: Expression;
  private readonly first: Expression;
  private readonly line: Expression;
  private readonly lines: Expression;
  private readonly grid: GridAxis[];

  constructor(sort: Sort) {
    this.sort = sort;
    this.frame = new KernelFrame(sort.step, sort.target);
    this.b = this.frame.builder;
    const around = aroundAxis(sort.keys.shape, sort.node.attributes.axis);
    const outer = taskAxis(this.b, around.outer);
    const inner = taskAxis(this.b, around.inner);
    this.grid = [...outer.grid, ...inner.grid];
    this.length = around.length;
    this.stride = around.inner;
    this.first = lineAddress(around, outer.index, inner.index);
    this.line = add(multiply(outer.index, around.inner), inner.index);
    this.lines = multiply(around.outer, around.inner);
    this.blocks = ceilDivide(around.length, this.block);
  }

  private get block(): number {
    return this.sort.target.execution === 'vector' ? blockLength.vector : blockLength.threads;
  }

  /** Elements after even passes, after odd ones, and the counters. */
  workspace(id: 0 | 1 | 2, access: 'read' | 'write' | 'readWrite'): string {
    const each = id === 2 ? multiply(digits, this.blocks) : multiply(2, this.length);
    const elements = multiply(this.lines, each);
    const workspace: Workspace = {
      kind: 'workspace',
      id,
      bytes: multiply(4, elements),
      constant: false,
    };
    return this.frame.workspace(workspace, 'i32', access);
  }

  /** Address of element `position` of the line in the operands, and of its word in a workspace. */
  element = (position: Expression): Expression => add(this.first, multiply(position, this.stride));
  inLine = (position: Expression): Expression =>
    multiply(2, add(multiply(this.line, this.length), position));

  counter(digit: Expression, block: Expression): Expression {
    return add(multiply(add(multiply(this.line, this.blocks), block), digits), digit);
  }

  /** One task per block; `each` for every element in order. */
  overBlocks(each: (position: Expression, block: Expression) => void, before: Before): void {
    const task = taskAxis(this.b, this.blocks);
    this.grid.push(...task.grid);
    const start = multiply(task.index, this.block);
    const end = minimum(add(start, this.block), this.length);
    before(task.index);
    this.b.for(start, end, 1, (position) => each(position, task.index));
  }

  /** The word and the position of an element before a pass. */
  reader(pass: number, withPosition: boolean): (position: Expression) => Element {
    const { b, sort } = this;
    const { keys, node } = sort;
    if (pass === 0) {
      const from = this.frame.input(keys) as string;
      return (position) => {
        const key = loadElement(b, from, keys, this.element(position));
        const word = wordOf(b, keys, node.attributes.descending, key);
        return { word, position: b.convert(b.scalar(position), 'i32') };
      };
    }
    const from = this.workspace(pass % 2 === 0 ? 0 : 1, 'read');
    const load = (address: Expression): Value => loadWord(b, from, 'i32', address, false);
    return (position) => {
      const address = this.inLine(position);
      const word = b.bitcast(load(address), 'u32');
      return { word, position: withPosition ? load(add(address, 1)) : b.literal('i32', 0) };
    };
  }

  digit(pass: number, word: Value): Expression {
    const { b } = this;
    const shift = b.literal('u32', pass * digitBits);
    const bits = b.and(b.binary('shiftRight', word, shift), b.literal('u32', digits - 1));
    return b.name(b.convert(bits, b.indexType), digits);
  }

  /** The content of a counter, which takes the next value. */
  next(counters: string, address: Expression): Value {
    const { b } = this;
    const at = loadWord(b, counters, 'i32', address);
    b.store({ buffer: counters, address, strides: [] }, b.add(at, b.literal('i32', 1)));
    return at;
  }

  position(value: Value): Expression {
    return this.b.name(this.b.convert(value, this.b.indexType), this.length);
  }

  finish(stem: string, pass: number): LoweredKernel {
    const { names } = this.sort;
    const own = { ...names, name: `${names.name}_${stem}${pass}` };
    return this.frame.finish(own, { lanes: 1, group: 1, grid: this.grid });
  }
}

type Before = (block: Expression) => void;

interface Element {
  readonly word: Value;
  readonly position: Value;
}

/** How often each digit occurs in each block. */
function countDigits(sort: Sort, pass: number): LoweredKernel {
  const p = new Pass(sort);
  const { b } = p;
  const counters = p.workspace(2, 'readWrite');
  const read = p.reader(pass, false);
  p.overBlocks(
    (position, block) => {
      p.next(counters, p.counter(p.digit(pass, read(position).word), block));
    },
    (block) => {
      b.for(0, digits, 1, (digit) => {
        const access = { buffer: counters, address: p.counter(digit, block), strides: [] };
        b.store(access, b.literal('i32', 0));
      });
    },
  );
  return p.finish('count', pass);
}

/** The place of the first element of each digit of each block. */
function placeDigits(sort: Sort, pass: number): LoweredKernel {
  const p = new Pass(sort);
  const { b } = p;
  const counters = p.workspace(2, 'readWrite');
  const total = b.variable(b.literal('i32', 0));
  b.for(0, digits, 1, (digit) => {
    b.for(0, p.blocks, 1, (block) => {
      const address = p.counter(digit, block);
      const before = b.read(total);
      const count = loadWord(b, counters, 'i32', address);
      b.assign(total, b.add(before, count));
      b.store({ buffer: counters, address, strides: [] }, before);
    });
  });
  return p.finish('place', pass);
}

/** Every element to its place. */
function moveElements(sort: Sort, pass: number): LoweredKernel {
  const p = new Pass(sort);
  const counters = p.workspace(2, 'readWrite');
  const read = p.reader(pass, true);
  const write = pass === sort.passes - 1 ? payloadWriter(p) : wordWriter(p, pass);
  p.overBlocks(
    (position, block) => {
      const element = read(position);
      const digit = p.digit(pass, element.word);
      write(element, p.position(p.next(counters, p.counter(digit, block))));
    },
    () => {},
  );
  return p.finish('move', pass);
}

type Write = (element: Element, place: Expression) => void;

function wordWriter(p: Pass, pass: number): Write {
  const { b } = p;
  const to = p.workspace(pass % 2 === 0 ? 1 : 0, 'write');
  return ({ word, position }, place) => {
    const address = p.inLine(place);
    b.store({ buffer: to, address, strides: [] }, b.bitcast(word, 'i32'));
    b.store({ buffer: to, address: add(address, 1), strides: [] }, position);
  };
}

function payloadWriter(p: Pass): Write {
  const { b, frame, sort } = p;
  const moved = sort.node.inputs.flatMap((payload, index) => {
    const output = sort.step.outputs.find(
      (candidate) => candidate.op === 'part' && candidate.attributes.index === index,
    );
    if (output === undefined) return [];
    const to = frame.output(output);
    return [{ payload, to, value: payloadOf(p, payload, index === 0) }];
  });
  return (element, place) => {
    const values = moved.map(({ value }) => value(element));
    moved.forEach(({ to, payload }, i) => {
      storeElement(b, to, payload, p.element(place), values[i] as Value);
    });
  };
}

/** What a payload has at the place that an element came from. */
function payloadOf(p: Pass, payload: Node, isKey: boolean): (element: Element) => Value {
  const { b, frame, sort } = p;
  const { axis, descending } = sort.node.attributes;
  if (payload.op === 'iota' && payload.attributes.axis === axis) {
    return ({ position }) => b.convert(position, computeType(payload.dtype));
  }
  const from = frame.input(payload) as string;
  const load = ({ position }: Element): Value =>
    loadElement(b, from, payload, p.element(p.position(position)));
  if (!isKey) return load;
  if (payload.dtype === 'u32' || payload.dtype === 'i32') {
    return ({ word }) => keyOf(b, payload, descending, word);
  }
  if (payload.dtype !== 'f32') return load;
  return (element) => {
    const { word } = element;
    const value = b.variable(keyOf(b, payload, descending, word));
    // Zeros have lost their sign, and NaN its content.
    const zero = b.literal('u32', descending ? 2 ** 31 - 1 : 2 ** 31);
    const lost = b.or(b.equal(word, zero), b.equal(word, b.literal('u32', 2 ** 32 - 1)));
    b.if(lost, () => b.assign(value, load(element)));
    return b.read(value);
  };
}

/** The key of a word: `wordOf` backwards. */
function keyOf(b: KernelBuilder, { dtype }: Node, descending: boolean, word: Value): Value {
  const ordered = descending ? b.not(word) : word;
  if (dtype === 'u32') return ordered;
  const signBit = b.literal('u32', 2 ** 31);
  if (dtype === 'i32') return b.bitcast(b.binary('xor', ordered, signBit), 'i32');
  const sign = b.bitcast(
    b.binary('shiftRight', b.bitcast(ordered, 'i32'), b.literal('i32', 31)),
    'u32',
  );
  return b.bitcast(b.binary('xor', ordered, b.or(b.not(sign), signBit)), 'f32');
}
