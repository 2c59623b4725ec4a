/**
 * Turned maps whose output is written past the caches by vectors that hold half a line: two tiles
 * side by side write lines whole. As nothing is kept of the output, a walk may be as long as rows
 * of the input are, which the hardware sees coming.
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  product,
  subtract,
  upperBound,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { type Axis, axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import { type Bindings, type Range, rowsPerTask, writeTasks } from './nest.js';
import { bytesAhead, lineBytes, shortestWalk, streamingOf } from './streaming.js';
import type { GridAxis } from './tile.js';

/**
 * Lines of the output that a task writes side by side; their pages are as many as processors keep
 * at hand. Measured on x86: a quarter of it is a tenth slower, a sixteenth a third.
 */
const linesTogether = 1024;

/** The output of a turned map that is written in whole lines. */
export interface WholeLines {
  /** Elements of a line, as many as two vectors hold. */
  readonly line: number;
  /** Elements along the innermost axis, a multiple of the line. */
  readonly extent: number;
  /** What streamingOf says of the output. */
  readonly streaming: Expression;
  /** Rows of the input by which tiles ask for it before they need it; 0 where rows are long. */
  readonly rowsAhead: number;
}

/** Undefined where vectors hold lines, or other than two make one, or no output is streamed. */
export function wholeLinesOf(
  step: KernelStep,
  target: Target,
  { extent }: Axis,
  turned: Axis,
  lanes: number,
): WholeLines | undefined {
  const [node, ...others] = step.outputs as [Node, ...Node[]];
  const bytes = bytesOf(node.dtype);
  const line = 2 * lanes;
  if (others.length > 0 || target.vectorBytes >= lineBytes) return undefined;
  if (line * bytes !== lineBytes || typeof extent !== 'number') return undefined;
  if (extent % line !== 0) return undefined;
  const streaming = streamingOf(step, node, target, product(node.shape));
  if (streaming === 0) return undefined;
  const isLong = upperBound(turned.extent) * bytes > bytesAhead;
  return { line, extent, streaming, rowsAhead: isLong ? 0 : line };
}

/** Tiles down a range of the turned axis, a line wide, at a column of the innermost. */
export type WriteDown = (
  range: Range,
  column: Expression,
  streaming: Expression,
  /** Of the line's elements, those that are written: [low, high). All where absent. */
  written?: Range,
) => void;

/** Tasks are strips of lines, each a long walk over some rows of the input. */
export function writeWholeLines(
  b: KernelBuilder,
  bindings: Bindings,
  whole: WholeLines,
  [outer, turned]: readonly [outer: readonly Axis[], turned: Axis],
  buffer: string,
  writeDown: WriteDown,
): GridAxis[] {
  const { line, extent } = whole;
  const walk = Math.min(linesTogether, upperBound(turned.extent));
  const width = Math.ceil(rowsPerTask(walk) / line) * line;
  const blocks = axis('block', ceilDivide(turned.extent, linesTogether));
  const strips = axis('strip', ceilDivide(extent, width));
  return writeTasks(b, [...outer, blocks, strips], 1, bindings, () => {
    const strip = bindings.get(strips.name) as Expression;
    const top = multiply(bindings.get(blocks.name) as Expression, linesTogether);
    const down: Range = [top, b.bind(minimum(add(top, linesTogether), turned.extent))];
    const start = multiply(strip, width);
    const { streaming, shift } = linesFrom(b, buffer, whole);
    const isShifted = b.bind(minimum(shift, 1));
    const last = subtract(extent, multiply(isShifted, line));
    const end = minimum(add(start, width), last);
    b.for(add(start, shift), add(end, shift), line, (column) => {
      writeDown(down, column, streaming);
    });
    if (shift === 0) return;
    // The parts of lines at both ends of a row.
    const edges = b.bind(multiply(2, isShifted, subtract(1, minimum(strip, 1))));
    b.for(0, edges, 1, (edge) => {
      const low = b.bind(multiply(edge, shift));
      const high = b.bind(add(shift, multiply(edge, subtract(line, shift))));
      writeDown(down, multiply(edge, extent - line), 0, [low, high]);
    });
  });
}

/**
 * Whether stores stream, and elements before the first line of the output: arrays of the caller
 * begin anywhere. Where rows are short, their edges would be too much of them.
 */
function linesFrom(b: KernelBuilder, buffer: string, { line, extent, streaming }: WholeLines) {
  const until = b.untilLine(buffer, 0, line);
  const none = b.scalar(0);
  const wanted = b.scalar(streaming);
  if (extent < shortestWalk) {
    const isLine = b.equal(until, none);
    return { streaming: b.name(b.select(isLine, wanted, none), 1), shift: 0 };
  }
  if (typeof streaming === 'number') return { streaming, shift: b.name(until, line) };
  const shift = b.name(b.select(b.notEqual(wanted, none), until, none), line);
  return { streaming: b.bind(streaming), shift };
}
